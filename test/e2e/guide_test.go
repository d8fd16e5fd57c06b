//go:build e2e

package e2e

import (
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// step is a command of a document with the output it promises.
type step struct {
	command, output string
}

// steps reads the ```console blocks of a document: lines after "$ " are
// commands, continued while they end in a backslash or a pipe; what follows is
// their output, in which … stands for anything.
func steps(document string) []step {
	var result []step
	for _, block := range strings.Split(document, "```console\n")[1:] {
		block, _, _ = strings.Cut(block, "```")
		continued := false
		for line := range strings.Lines(block) {
			switch command, isCommand := strings.CutPrefix(line, "$ "); {
			case isCommand:
				result = append(result, step{command: command})
				line = command
				continued = continues(line)
			case continued:
				result[len(result)-1].command += line
				continued = continues(line)
			default:
				result[len(result)-1].output += line
			}
		}
	}
	return result
}

func continues(line string) bool {
	line = strings.TrimRight(line, " \n")
	return strings.HasSuffix(line, `\`) || strings.HasSuffix(line, "|")
}

// The guide is a test: each command of README's first screen runs, in one
// shell, and answers what README says.
func TestGuide(t *testing.T) {
	t.Parallel()
	readme, err := os.ReadFile("../../README.md")
	if err != nil {
		t.Fatal(err)
	}
	all := steps(string(readme))
	if len(all) < 4 {
		t.Fatalf("only %d commands found", len(all))
	}
	// The base alone has policies that warn, and the former way to act as others.
	deployed := exec.CommandContext(t.Context(), "../../bin/kubectl", "apply", "-k", "../../hack/deployed")
	if output, err := deployed.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, output)
	}
	bin, err := filepath.Abs("../../bin")
	if err != nil {
		t.Fatal(err)
	}
	before := ""
	for _, step := range all {
		command := strings.ReplaceAll(step.command, "http://127.0.0.1:9090", shared.url)
		shell := exec.CommandContext(t.Context(), "bash", "-euc", before+command)
		shell.Env = append(os.Environ(), "PATH="+bin+":"+os.Getenv("PATH"))
		output, err := shell.CombinedOutput()
		if err != nil {
			t.Errorf("$ %s%v\n%s", step.command, err, output)
			continue
		}
		if step.output == "" {
			before += command // an assignment the next commands use
			continue
		}
		pattern := "^" + strings.ReplaceAll(regexp.QuoteMeta(step.output), "…", ".*") + "$"
		if !regexp.MustCompile(pattern).Match(output) {
			t.Errorf("$ %sprinted\n%.600s\nwant\n%s", step.command, output, step.output)
		}
	}
}
