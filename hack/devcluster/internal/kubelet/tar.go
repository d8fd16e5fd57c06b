package kubelet

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// mostInFile bounds what is kept of a file that is written.
const mostInFile = 64 << 20

// tarOptions are the arguments of tar: what kubectl cp and file managers use.
type tarOptions struct {
	mode  byte // c, x or t
	dir   string
	names []string
}

func parseTar(sh *shell, args []string) (tarOptions, error) {
	o := tarOptions{dir: sh.dir}
	for first := true; len(args) > 0; first = false {
		arg := args[0]
		args = args[1:]
		switch {
		case strings.HasPrefix(arg, "--"):
			// Owners, permissions and times are not kept anyway.
			continue
		case !strings.HasPrefix(arg, "-") && !first:
			o.names = append(o.names, arg)
			continue
		}
		for _, flag := range strings.TrimPrefix(arg, "-") {
			switch flag {
			case 'c', 'x', 't':
				o.mode = byte(flag)
			case 'f', 'C':
				if len(args) == 0 {
					return o, fmt.Errorf("option requires an argument -- %c", flag)
				}
				if flag == 'f' && args[0] != "-" {
					return o, errors.New("this toy knows archives on its input and output only")
				}
				if flag == 'C' {
					o.dir = sh.absolute(args[0])
				}
				args = args[1:]
			case 'm', 'o', 'p', 'h', 'v', 'P':
			default:
				return o, fmt.Errorf("invalid option -- %c", flag)
			}
		}
	}
	if o.mode == 0 {
		return o, errors.New("need at least one option")
	}
	return o, nil
}

// tarCommand makes an archive of the toy file system, or takes one in.
func tarCommand(_ context.Context, sh *shell, args []string) int {
	o, err := parseTar(sh, args)
	if err != nil {
		return sh.fail("tar: %v", err)
	}
	if o.mode != 'x' && o.mode != 't' {
		return sh.archive(o)
	}
	if _, isDir := sh.list(o.dir); !isDir {
		return sh.fail("tar: can't change directory to '%s': No such file or directory", o.dir)
	}
	in := tar.NewReader(sh.in)
	for {
		header, err := in.Next()
		if errors.Is(err, io.EOF) {
			_, _ = io.Copy(io.Discard, sh.in) // the padding, which somebody still writes
			return 0
		}
		if err != nil {
			return sh.fail("tar: %v", err)
		}
		if o.mode == 't' {
			sh.say(header.Name)
			continue
		}
		if err := sh.extract(o.dir, header, in); err != nil {
			return sh.fail("tar: %v", err)
		}
	}
}

// extract writes one member of an archive; like tar it stays below dir.
func (sh *shell) extract(dir string, header *tar.Header, in io.Reader) error {
	name := path.Join(dir, path.Clean("/"+header.Name))
	switch header.Typeflag {
	case tar.TypeDir:
		sh.write(name+"/", "")
	case tar.TypeReg:
		content, err := io.ReadAll(io.LimitReader(in, mostInFile+1))
		if err != nil {
			return err
		}
		if len(content) > mostInFile {
			return fmt.Errorf("%s: No space left on device", header.Name)
		}
		sh.write(name, string(content))
	}
	return nil
}

func (sh *shell) write(name, content string) {
	sh.files[name] = content
	sh.disk.write(name, content)
}

// archive writes files, and directories with what is in them.
func (sh *shell) archive(o tarOptions) int {
	out := tar.NewWriter(sh.out)
	code := 0
	for _, asked := range o.names {
		root := path.Join(o.dir, asked)
		if path.IsAbs(asked) {
			root = path.Clean(asked)
		}
		found := false
		for _, name := range slices.Sorted(maps.Keys(sh.files)) {
			if name != root && !strings.HasPrefix(name, strings.TrimSuffix(root, "/")+"/") {
				continue
			}
			found = true
			header := &tar.Header{
				Name: strings.TrimPrefix(path.Clean(asked)+strings.TrimPrefix(name, root), "/"), Mode: 0o644, Size: int64(len(sh.files[name])),
				Typeflag: tar.TypeReg, ModTime: time.Unix(0, 0), Uname: "root", Gname: "root",
			}
			if strings.HasSuffix(name, "/") {
				header.Typeflag, header.Mode = tar.TypeDir, 0o755
			}
			if err := out.WriteHeader(header); err != nil {
				return sh.fail("tar: %v", err)
			}
			if _, err := io.WriteString(out, sh.files[name]); err != nil {
				return 1
			}
		}
		if !found {
			code = sh.fail("tar: %s: No such file or directory", asked)
		}
	}
	if err := out.Close(); err != nil {
		return 1
	}
	return code
}

// test knows whether there is a file or directory of a name.
func test(_ context.Context, sh *shell, args []string) int {
	if len(args) != 2 {
		return exitMisuse
	}
	name := sh.absolute(args[1])
	_, isFile := sh.files[name]
	_, isDir := sh.list(name)
	if args[0] == "-d" && isDir || args[0] == "-f" && isFile || args[0] == "-e" && (isFile || isDir) {
		return 0
	}
	return 1
}
