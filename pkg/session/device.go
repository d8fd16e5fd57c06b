package session

import (
	"context"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	apierrors "k8s.io/apimachinery/pkg/api/errors"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"sigs.k8s.io/controller-runtime/pkg/client"

	iamv1alpha2 "github.com/super-kubenetes/ks-apiserver/api/iam/v1alpha2"
)

// Why a device does not get its tokens.
var (
	// ErrPending is a device whose user has not decided yet.
	ErrPending = errors.New("the user has not approved the device yet")
	// ErrDenied is a device whose user said no.
	ErrDenied = errors.New("the user denied the device")
	// ErrDecided is a device that was approved or denied before.
	ErrDecided = errors.New("the device was approved or denied before")
)

const (
	// DeviceLifetime is how long a user has to approve a device.
	DeviceLifetime = 10 * time.Minute
	// deviceRetention is how long a device is told that it came too late.
	deviceRetention = 10 * time.Minute
	devicePrefix    = "device-"
	// userCodeLetters are easy to read and to type, and spell no words (RFC 8628
	// §6.1): 20 of them, so that 8 make 34 bits.
	userCodeLetters = "BCDFGHJKLMNPQRSTVWXZ"
	userCodeLength  = 8
)

// StartDevice creates a device that waits for its user. It returns the code the
// device polls with, and the one its user types.
func (s *Sessions) StartDevice(ctx context.Context, login Login) (deviceCode, userCode string, err error) {
	secret := make([]byte, sha256.Size)
	if _, err := io.ReadFull(s.Random, secret); err != nil {
		return "", "", fmt.Errorf("creating a device code: %w", err)
	}
	for range 3 { // the same code may be in use
		if userCode, err = s.newUserCode(); err != nil {
			return "", "", err
		}
		device := &iamv1alpha2.DeviceAuthorization{
			ObjectMeta: metav1.ObjectMeta{Name: deviceName(userCode)},
			Spec: iamv1alpha2.DeviceAuthorizationSpec{
				Client: login.Client, Scopes: login.Scopes, DeviceCodeHash: hash(secret),
				Address: login.Address, UserAgent: shorten(login.UserAgent),
				ExpirationTime: metav1.NewTime(s.Now().Add(DeviceLifetime)), State: iamv1alpha2.DevicePending,
			},
		}
		if err = s.Client.Create(ctx, device); err == nil {
			id := strings.TrimPrefix(device.Name, devicePrefix)
			return id + "." + base64.RawURLEncoding.EncodeToString(secret), userCode[:4] + "-" + userCode[4:], nil
		}
		if !apierrors.IsAlreadyExists(err) {
			break
		}
	}
	return "", "", fmt.Errorf("creating a device code: %w", err)
}

func (s *Sessions) newUserCode() (string, error) {
	code := make([]byte, 0, userCodeLength)
	random := make([]byte, 1)
	for len(code) < userCodeLength {
		if _, err := io.ReadFull(s.Random, random); err != nil {
			return "", fmt.Errorf("creating a device code: %w", err)
		}
		// Without the values that would make some letters more likely.
		if n := int(random[0]); n < 256/len(userCodeLetters)*len(userCodeLetters) {
			code = append(code, userCodeLetters[n%len(userCodeLetters)])
		}
	}
	return string(code), nil
}

func deviceName(userCode string) string {
	digest := sha256.Sum256([]byte(userCode))
	return devicePrefix + fmt.Sprintf("%x", digest[:16])
}

// Device returns the device that waits for the code a user typed, as people
// type: in lower case, with dashes and blanks anywhere.
func (s *Sessions) Device(ctx context.Context, userCode string) (*iamv1alpha2.DeviceAuthorization, error) {
	code := strings.Map(func(c rune) rune {
		if c == '-' || c == ' ' {
			return -1
		}
		return c
	}, strings.ToUpper(userCode))
	if len(code) != userCodeLength || strings.Trim(code, userCodeLetters) != "" {
		return nil, ErrInvalid
	}
	if err := s.Lookups.device(ctx); err != nil {
		return nil, err
	}
	device := &iamv1alpha2.DeviceAuthorization{}
	if err := s.read(ctx, deviceName(code), device); err != nil {
		return nil, err
	}
	switch {
	case s.Now().After(device.Spec.ExpirationTime.Time):
		return nil, ErrEnded
	case device.Spec.State != iamv1alpha2.DevicePending:
		return nil, ErrDecided
	}
	return device, nil
}

// Decide approves or denies a device, in a browser session.
func (s *Sessions) Decide(ctx context.Context, device *iamv1alpha2.DeviceAuthorization, browser *iamv1alpha2.Session, approve bool) error {
	device.Spec.State, device.Spec.User, device.Spec.Session = iamv1alpha2.DeviceDenied, browser.Spec.User, browser.Name
	if approve {
		device.Spec.State = iamv1alpha2.DeviceApproved
	}
	err := s.Client.Update(ctx, device)
	if apierrors.IsConflict(err) || apierrors.IsNotFound(err) {
		return ErrDecided
	}
	return err
}

// RedeemDevice exchanges the code of a device whose user approved it for a
// session, once, if the browser session it was approved in is accepted.
func (s *Sessions) RedeemDevice(ctx context.Context, deviceCode string, login Login, accept Accept) (*iamv1alpha2.Session, string, error) {
	name, secret, err := decode(deviceCode)
	if err != nil {
		return nil, "", err
	}
	if err := s.Lookups.device(ctx); err != nil {
		return nil, "", err
	}
	device := &iamv1alpha2.DeviceAuthorization{}
	if err := s.read(ctx, devicePrefix+strings.TrimPrefix(name, namePrefix), device); err != nil {
		return nil, "", err
	}
	spec := &device.Spec
	switch {
	case spec.Client != login.Client || !equal(hash(secret), spec.DeviceCodeHash):
		return nil, "", ErrInvalid
	case s.Now().After(spec.ExpirationTime.Time):
		return nil, "", ErrEnded
	case spec.State == iamv1alpha2.DeviceDenied:
		return nil, "", ErrDenied
	case spec.State != iamv1alpha2.DeviceApproved:
		return nil, "", ErrPending
	}
	browser := &iamv1alpha2.Session{}
	err = s.Client.Get(ctx, client.ObjectKey{Name: spec.Session}, browser)
	switch {
	case err != nil && !apierrors.IsNotFound(err):
		return nil, "", err
	case err != nil, browser.Spec.Revoked, browser.Spec.User != spec.User:
		return nil, "", ErrEnded
	}
	if err := accept(browser); err != nil {
		return nil, "", err
	}
	// Deleting it is what only one of two can do.
	if err := s.Client.Delete(ctx, device, client.Preconditions{UID: &device.UID, ResourceVersion: &device.ResourceVersion}); err != nil {
		if apierrors.IsNotFound(err) || apierrors.IsConflict(err) {
			return nil, "", ErrInvalid
		}
		return nil, "", err
	}
	login.User, login.Scopes = spec.User, spec.Scopes
	login.Provider, login.Methods = browser.Spec.Provider, browser.Spec.AuthenticationMethods
	if proved := browser.Spec.AuthenticationTime; proved != nil {
		login.Time = proved.Time
	}
	return s.Start(ctx, login)
}

// sweepDevices deletes devices nobody will ask for any more.
func (s *Sessions) sweepDevices(ctx context.Context) error {
	devices := &iamv1alpha2.DeviceAuthorizationList{}
	if err := s.Client.List(ctx, devices); err != nil {
		return err
	}
	for n := range devices.Items {
		if s.Now().After(devices.Items[n].Spec.ExpirationTime.Add(deviceRetention)) {
			if err := s.Client.Delete(ctx, &devices.Items[n]); client.IgnoreNotFound(err) != nil {
				return err
			}
		}
	}
	return nil
}
