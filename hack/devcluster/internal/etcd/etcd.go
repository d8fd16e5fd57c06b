package etcd

import (
	"context"
	"fmt"
	"io"
	"net/url"
	"os"
	"path/filepath"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/server/v3/embed"
	"go.etcd.io/etcd/server/v3/etcdserver/api/v3client"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// maxSocketPath leaves room below the 104 (macOS) or 108 (Linux) bytes a
// socket address can hold.
const maxSocketPath = 80

// startStopTimeout is for ending an etcd that did not start.
const startStopTimeout = time.Second

// Options say where the data lives and how careful to be with it.
type Options struct {
	// Dir, an absolute path, holds the database and the write-ahead log.
	Dir string
	// Log receives errors.
	Log io.Writer
	// UnsafeNoFsync trades the safety of acknowledged writes for speed.
	UnsafeNoFsync bool
}

// Server is a running etcd.
type Server struct {
	etcd      *embed.Etcd
	socketDir string
	endpoint  string
}

// Start starts etcd and returns when it serves.
func Start(ctx context.Context, opts Options) (*Server, error) {
	socketDir, err := makeSocketDir(opts.Dir)
	if err != nil {
		return nil, fmt.Errorf("make a directory for etcd's sockets: %w", err)
	}
	s := &Server{socketDir: socketDir, endpoint: "unix://" + filepath.Join(socketDir, "c")}
	if err := s.start(ctx, opts); err != nil {
		s.Stop(startStopTimeout)
		return nil, fmt.Errorf("start etcd: %w", err)
	}
	return s, nil
}

func (s *Server) start(ctx context.Context, opts Options) error {
	cfg := embed.NewConfig()
	cfg.Dir = opts.Dir
	client := url.URL{Scheme: "unix", Path: filepath.Join(s.socketDir, "c")}
	peer := url.URL{Scheme: "unix", Path: filepath.Join(s.socketDir, "p")}
	cfg.ListenClientUrls = []url.URL{client}
	cfg.AdvertiseClientUrls = []url.URL{client}
	cfg.ListenPeerUrls = []url.URL{peer}
	// The advertised peer address is part of the member's identity and must
	// not change between starts as the sockets do. Nobody dials it.
	cfg.AdvertisePeerUrls = []url.URL{{Scheme: "unix", Path: "/devcluster"}}
	cfg.InitialCluster = cfg.InitialClusterFromName(cfg.Name)
	// A single member has nobody to wait for before it leads.
	cfg.TickMs = 10
	cfg.ElectionMs = 100
	// There is no follower that could need old entries, and those of a large
	// seed are big.
	cfg.SnapshotCount = 1000
	cfg.SnapshotCatchUpEntries = 10
	cfg.QuotaBackendBytes = 8 << 30
	cfg.UnsafeNoFsync = opts.UnsafeNoFsync
	cfg.ZapLoggerBuilder = embed.NewZapLoggerBuilder(newLogger(opts.Log))

	etcd, err := embed.StartEtcd(cfg)
	if err != nil {
		return err
	}
	s.etcd = etcd
	select {
	case <-etcd.Server.ReadyNotify():
		return nil
	case err := <-etcd.Err():
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// Endpoint is the URL for kube-apiserver's --etcd-servers.
func (s *Server) Endpoint() string { return s.endpoint }

// Client speaks to etcd without going through its socket.
func (s *Server) Client() *clientv3.Client { return v3client.New(s.etcd.Server) }

// Stop ends etcd. Requests that are still open may keep it from ending in time;
// that is no loss, because what is acknowledged has long been written.
func (s *Server) Stop(timeout time.Duration) {
	if s.etcd != nil {
		closed := make(chan struct{})
		go func() {
			s.etcd.Close()
			close(closed)
		}()
		select {
		case <-closed:
		case <-time.After(timeout):
		}
	}
	// Nothing but two dead sockets is left in there.
	_ = os.RemoveAll(s.socketDir)
}

// makeSocketDir makes a directory next to the data, where a start after a crash
// finds the old sockets and replaces them, unless its path is too long.
func makeSocketDir(data string) (string, error) {
	dir := filepath.Join(filepath.Dir(data), "sockets")
	if len(dir) <= maxSocketPath {
		return dir, os.MkdirAll(dir, 0o700)
	}
	return os.MkdirTemp("/tmp", "devcluster")
}

func newLogger(w io.Writer) *zap.Logger {
	encoder := zapcore.NewJSONEncoder(zap.NewProductionEncoderConfig())
	return zap.New(zapcore.NewCore(encoder, zapcore.AddSync(w), zapcore.ErrorLevel))
}
