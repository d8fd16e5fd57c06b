package tokens

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"time"
)

// Login is what somebody is logged in with.
type Login struct {
	Server   string `json:"server"`
	ClientID string `json:"clientID"`
	// CertificateAuthority are certificates in PEM, those of the system if empty.
	CertificateAuthority  string `json:"certificateAuthority,omitempty"`
	InsecureSkipTLSVerify bool   `json:"insecureSkipTLSVerify,omitempty"`

	AccessToken  string    `json:"accessToken"`
	RefreshToken string    `json:"refreshToken,omitempty"`
	Expiry       time.Time `json:"expiry"`
}

// ErrNotLoggedIn is a login there is none of, or not any more.
var ErrNotLoggedIn = errors.New("you are not logged in")

// Store are the logins of this machine's user.
type Store struct {
	// Directory is made when it is missing.
	Directory string
	Now       func() time.Time
}

// DefaultDirectory is where logins are kept (XDG Base Directory Specification).
func DefaultDirectory(getenv func(string) string) (string, error) {
	if directory := getenv("XDG_CACHE_HOME"); filepath.IsAbs(directory) { // others are to be ignored
		return filepath.Join(directory, "kubectl-ks"), nil
	}
	home, err := os.UserHomeDir()
	if err != nil {
		return "", err
	}
	return filepath.Join(home, ".cache", "kubectl-ks"), nil
}

// id is what logins are called; it becomes the name of a file. Those of earlier
// versions are shorter.
var id = regexp.MustCompile(`^(?:[0-9a-f]{16}|[0-9a-f]{32})$`)

// NewID returns the name of a new login, which no other has.
func NewID() (string, error) {
	random := make([]byte, 16)
	if _, err := rand.Read(random); err != nil {
		return "", err
	}
	return hex.EncodeToString(random), nil
}

func (s *Store) path(name string) (string, error) {
	if !id.MatchString(name) {
		return "", fmt.Errorf("%q is not a login", name)
	}
	if err := os.MkdirAll(s.Directory, 0o700); err != nil {
		return "", err
	}
	return filepath.Join(s.Directory, name+".json"), nil
}

// Save keeps a login.
func (s *Store) Save(ctx context.Context, name string, login *Login) error {
	path, err := s.path(name)
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	return write(path, login)
}

// Load returns a login as it is kept, or ErrNotLoggedIn.
func (s *Store) Load(name string) (*Login, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	return read(path)
}

// Delete forgets a login.
func (s *Store) Delete(ctx context.Context, name string) error {
	path, err := s.path(name)
	if err != nil {
		return err
	}
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return err
	}
	defer unlock()
	// The lock stays: who waits for it must not end up with one of their own.
	if err := os.Remove(path); !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// early is how long before its end a token is renewed: a request takes time,
// and clocks differ.
const early = 30 * time.Second

// Refresh renews tokens. ErrNotLoggedIn is for a login that is over.
type Refresh func(ctx context.Context, login *Login) (*Login, error)

// Valid returns a login whose access token can be used, renewed when it has to
// be. Of several processes that need it at once, one renews it: a refresh token
// is good once.
func (s *Store) Valid(ctx context.Context, name string, refresh Refresh) (*Login, error) {
	path, err := s.path(name)
	if err != nil {
		return nil, err
	}
	login, err := read(path)
	if err != nil || s.Now().Add(early).Before(login.Expiry) {
		return login, err
	}
	unlock, err := lock(ctx, path+".lock")
	if err != nil {
		return nil, err
	}
	defer unlock()
	login, err = read(path) // somebody else may have renewed it meanwhile
	if err != nil || s.Now().Add(early).Before(login.Expiry) {
		return login, err
	}
	if login.RefreshToken == "" {
		return nil, ErrNotLoggedIn
	}
	renewed, err := refresh(ctx, login)
	switch {
	case errors.Is(err, ErrNotLoggedIn):
		return nil, errors.Join(err, os.Remove(path))
	case err != nil && s.Now().Before(login.Expiry):
		return login, nil // it can wait
	case err != nil:
		return nil, err
	}
	return renewed, write(path, renewed)
}

func read(path string) (*Login, error) {
	content, err := os.ReadFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, ErrNotLoggedIn
	}
	if err != nil {
		return nil, err
	}
	login := &Login{}
	if json.Unmarshal(content, login) != nil { // the error may quote a token
		return nil, fmt.Errorf("%s is damaged, log in again", path)
	}
	return login, nil
}

// write replaces a file at once, readable by its owner only.
func write(path string, login *Login) error {
	content, err := json.Marshal(login)
	if err != nil {
		return err
	}
	temporary, err := os.CreateTemp(filepath.Dir(path), ".login-*") // 0600
	if err != nil {
		return err
	}
	_, err = temporary.Write(content)
	if err = errors.Join(err, temporary.Sync(), temporary.Close()); err == nil {
		err = os.Rename(temporary.Name(), path)
	}
	if err != nil {
		return errors.Join(err, os.Remove(temporary.Name()))
	}
	return nil
}
