// Package cas lets people log in at a server of CAS 3.0, whose tickets are
// checked at /p3/serviceValidate. It implements identity.RedirectProvider.
package cas

import (
	"context"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"regexp"
	"strings"

	"github.com/super-kubenetes/ks-apiserver/pkg/identity"
	"github.com/super-kubenetes/ks-apiserver/pkg/identity/outbound"
)

// Type is the type of these providers in the configuration.
const Type = "CASIdentityProvider"

// Options are the provider section of the configuration. All but the root CAs
// are KubeSphere 3.x'.
type Options struct {
	// RedirectURL is where the browser comes back to; the callback of this
	// server if empty.
	RedirectURL        string `json:"redirectURL"`
	CASServerURL       string `json:"casServerURL"`
	InsecureSkipVerify bool   `json:"insecureSkipVerify"`
	RootCA             string `json:"rootCA"`
	RootCAData         string `json:"rootCAData"`
}

// Provider implements identity.RedirectProvider.
type Provider struct {
	options Options
	client  *http.Client
}

// New returns a provider.
func New(options Options) (*Provider, error) {
	if err := outbound.CheckURL("casServerURL", options.CASServerURL); err != nil {
		return nil, err
	}
	if options.RedirectURL != "" {
		if err := outbound.CheckURL("redirectURL", options.RedirectURL); err != nil {
			return nil, err
		}
	}
	options.CASServerURL = strings.TrimSuffix(options.CASServerURL, "/")
	client, err := outbound.Client(outbound.Trust{InsecureSkipVerify: options.InsecureSkipVerify, RootCA: options.RootCA, RootCAData: options.RootCAData})
	if err != nil {
		return nil, err
	}
	return &Provider{options: options, client: client}, nil
}

// service is the address the ticket is for. CAS has no state, so that it is
// part of the address.
func (p *Provider) service(visit identity.Visit) (string, error) {
	address := visit.CallbackURL
	if p.options.RedirectURL != "" {
		address = p.options.RedirectURL
	}
	if visit.State == "" {
		return address, nil
	}
	if _, err := url.Parse(address); err != nil {
		return "", errors.New("the address of the callback is no URL")
	}
	// The rest of the address stays as it is: servers compare it to the letter.
	separator := "?"
	if strings.Contains(address, "?") {
		separator = "&"
	}
	return address + separator + url.Values{"state": {visit.State}}.Encode(), nil
}

// LoginURL is where the browser goes to log in.
func (p *Provider) LoginURL(_ context.Context, visit identity.Visit) (string, error) {
	service, err := p.service(visit)
	if err != nil {
		return "", err
	}
	return p.options.CASServerURL + "/login?" + url.Values{"service": {service}}.Encode(), nil
}

// longestTicket bounds what a browser may come back with; CAS asks clients to
// take 256 characters (CAS Protocol 3.0 §3.1.1).
const longestTicket = 1024

// Return says who came back with a ticket.
func (p *Provider) Return(ctx context.Context, visit identity.Visit, parameters url.Values) (identity.External, error) {
	ticket := parameters.Get("ticket")
	if ticket == "" || len(ticket) > longestTicket {
		return identity.External{}, identity.ErrIncorrect
	}
	service, err := p.service(visit)
	if err != nil {
		return identity.External{}, err
	}
	content, err := outbound.Get(ctx, p.client, p.options.CASServerURL+"/p3/serviceValidate?"+url.Values{"service": {service}, "ticket": {ticket}}.Encode(), "", "application/xml")
	if err != nil {
		return identity.External{}, err
	}
	who, code, err := parse(content)
	switch {
	case err != nil:
		return identity.External{}, fmt.Errorf("%w: %w", identity.ErrUnavailable, err)
	case code == "INTERNAL_ERROR":
		return identity.External{}, fmt.Errorf("%w: it has an internal error", identity.ErrUnavailable)
	case code != "":
		slog.InfoContext(ctx, "an identity provider does not take a ticket", "code", code)
		return identity.External{}, identity.ErrIncorrect
	}
	return who, nil
}

// response is the answer of /p3/serviceValidate (CAS Protocol 3.0 §2.5).
type response struct {
	XMLName xml.Name  `xml:"serviceResponse"`
	Success []success `xml:"authenticationSuccess"`
	Failure []failure `xml:"authenticationFailure"`
}

type success struct {
	User       []string `xml:"user"`
	Attributes []struct {
		All []attribute `xml:",any"`
	} `xml:"attributes"`
}

type failure struct {
	Code string `xml:"code,attr"`
}

type attribute struct {
	XMLName xml.Name
	Value   string `xml:",chardata"`
}

var (
	errNoAnswer = errors.New("its answer is not one of CAS")
	failureCode = regexp.MustCompile(`^[A-Z_]{1,64}$`)
)

// mostGroups bounds what a person may be in.
const mostGroups = 1000

// parse reads who a ticket belongs to, or the code of why it belongs to nobody.
// An answer that could be read in two ways is none.
func parse(content []byte) (who identity.External, code string, err error) {
	decoder := xml.NewDecoder(strings.NewReader(string(content)))
	var answer response
	if decoder.Decode(&answer) != nil { // the error may quote the answer
		return who, "", errNoAnswer
	}
	for {
		rest, err := decoder.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if text, isText := rest.(xml.CharData); err != nil || !isText || strings.TrimSpace(string(text)) != "" {
			return who, "", errNoAnswer
		}
	}
	switch {
	case len(answer.Failure) == 1 && len(answer.Success) == 0:
		if code := answer.Failure[0].Code; failureCode.MatchString(code) {
			return who, code, nil
		}
		return who, "UNKNOWN", nil
	case len(answer.Failure) != 0 || len(answer.Success) != 1 || len(answer.Success[0].User) != 1 || len(answer.Success[0].Attributes) > 1:
		return who, "", errNoAnswer
	}
	found := answer.Success[0]
	who.Username = strings.TrimSpace(found.User[0])
	who.Subject = who.Username
	if who.Subject == "" {
		return who, "", errNoAnswer
	}
	for _, attributes := range found.Attributes {
		for _, one := range attributes.All {
			value := strings.TrimSpace(one.Value)
			switch one.XMLName.Local {
			case "mail", "email":
				who.Email = value
			case "displayName":
				who.DisplayName = value
			case "memberOf", "groups":
				if value != "" && len(who.Groups) < mostGroups {
					who.Groups = append(who.Groups, value)
				}
			}
		}
	}
	return who, "", nil
}

var _ identity.RedirectProvider = (*Provider)(nil)
