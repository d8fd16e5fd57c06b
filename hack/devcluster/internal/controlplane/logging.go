package controlplane

import (
	"flag"
	"fmt"
	"io"
	"log"

	"k8s.io/client-go/rest"
	logsapi "k8s.io/component-base/logs/api/v1"
	"k8s.io/klog/v2"
)

// RedirectLogs sends everything the components log to w. The standard logger
// and klog are global, so this must happen before any of them starts.
func RedirectLogs(w io.Writer) error {
	log.SetOutput(w)
	flags := flag.NewFlagSet("klog", flag.ContinueOnError)
	klog.InitFlags(flags)
	for name, value := range map[string]string{
		"logtostderr":     "false",
		"alsologtostderr": "false",
		"stderrthreshold": "FATAL",
		// Without this klog writes an error three times, once per severity.
		"one_output": "true",
	} {
		if err := flags.Set(name, value); err != nil {
			return fmt.Errorf("set klog's %s: %w", name, err)
		}
	}
	klog.SetOutput(w)
	// The second component would fail when it applies the same logging
	// configuration again.
	logsapi.ReapplyHandling = logsapi.ReapplyHandlingIgnoreUnchanged
	// The components use deprecated APIs on purpose.
	rest.SetDefaultWarningHandler(rest.NoWarnings{})
	return nil
}
