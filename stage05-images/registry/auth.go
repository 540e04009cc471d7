// Authentication. A registry that wants to know who is asking answers 401, and Www-Authenticate
// says what it takes (RFC 9110, section 11.6.1). Basic sends the name and password with every
// request. Bearer sends a token, valid for a while and for some repositories, that the server named
// by realm issues (the distribution project's "Token Authentication Specification").

package registry

import (
	"cmp"
	"context"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
)

// challenge is a way to authenticate that a server offers.
type challenge struct {
	scheme string            // in lower case: basic, bearer
	params map[string]string // realm, service, scope, error
}

// parseChallenges reads the value of Www-Authenticate up to its end or to an error in its grammar:
// schemes and name=value pairs, both between commas, so that only the = distinguishes them.
func parseChallenges(header string) (list []challenge) {
	for {
		header = strings.TrimLeft(header, " \t,")
		word, rest := cutToken(header)
		if word == "" {
			return list
		}
		after := strings.TrimLeft(rest, " \t")
		if !strings.HasPrefix(after, "=") {
			list = append(list, challenge{strings.ToLower(word), map[string]string{}})
			header = cutToken68(rest)
			continue
		}
		value, rest, ok := cutValue(strings.TrimLeft(after[1:], " \t"))
		if !ok || len(list) == 0 {
			return list
		}
		list[len(list)-1].params[strings.ToLower(word)] = value
		header = rest
	}
}

func cutToken(s string) (token, rest string) {
	end := strings.IndexFunc(s, func(c rune) bool {
		return !strings.ContainsRune(lower+upper+digits+"!#$%&'*+-.^_`|~", c)
	})
	if end < 0 {
		end = len(s)
	}
	return s[:end], s[end:]
}

// cutToken68 skips the base64 that some schemes have in place of parameters, up to a comma.
func cutToken68(s string) string {
	word, rest, _ := strings.Cut(s, ",")
	if strings.ContainsAny(strings.TrimRight(word, "= \t"), `="`) {
		return s
	}
	return rest
}

// cutValue cuts a token or a quoted string, in which a backslash escapes the next character.
func cutValue(s string) (value, rest string, ok bool) {
	if !strings.HasPrefix(s, `"`) {
		value, rest = cutToken(s)
		return value, rest, value != ""
	}
	var text strings.Builder
	for i := 1; i < len(s); i++ {
		switch {
		case s[i] == '"':
			return text.String(), s[i+1:], true
		case s[i] == '\\' && i+1 < len(s):
			i++
		}
		text.WriteByte(s[i])
	}
	return "", "", false
}

// authorize answers the 401 to a request that had the Authorization header refused. It gets another
// header, once for all goroutines that were refused with the same one.
func (c *Client) authorize(ctx context.Context, scope, refused string, answer http.Header) error {
	c.authMu.Lock()
	defer c.authMu.Unlock()
	if c.auth[scope] != refused {
		return nil
	}
	user, err := c.credential(ctx)
	if err != nil {
		return err
	}
	header, err := c.answer(ctx, scope, user, answer)
	if err == nil {
		c.auth[scope] = header
	}
	return err
}

// answer is the Authorization header for one of the challenges of a 401; a token is preferred.
func (c *Client) answer(
	ctx context.Context, scope string, user credential, answer http.Header,
) (string, error) {
	offers := map[string]challenge{}
	for _, one := range parseChallenges(strings.Join(answer.Values("Www-Authenticate"), ", ")) {
		offers[one.scheme] = one
	}
	bearer, isBearer := offers["bearer"]
	_, isBasic := offers["basic"]
	header := user.basic()
	switch {
	case isBearer:
		return c.token(ctx, bearer, scope, user)
	case isBasic && header == "":
		return "", fmt.Errorf("%s requires a user name and a password: box login %s", c.Host, c.Host)
	case !isBasic:
		return "", fmt.Errorf("%s requires an unsupported kind of authentication: %s",
			c.Host, cmp.Or(Printable(answer.Get("Www-Authenticate")), "it does not say how"))
	}
	return header, nil
}

// token asks the server at realm for a token, and returns the header that carries it. A scope is
// words such as "repository:NAME:pull,push". Without credentials, the token is for what is public.
func (c *Client) token(
	ctx context.Context, offer challenge, scope string, user credential,
) (string, error) {
	if scope == "" {
		scope = offer.params["scope"]
	}
	realm, err := url.Parse(offer.params["realm"])
	if err != nil || realm.Host == "" {
		return "", fmt.Errorf("registry %s: invalid token realm %q",
			c.Host, Printable(offer.params["realm"]))
	}
	_, data, err := c.fetch(ctx, tokenRequest(realm, offer.params["service"], scope, user))
	if err != nil {
		return "", err
	}
	var got struct {
		Token       string `json:"token"`
		AccessToken string `json:"access_token"` // the same, by the name that OAuth 2 gives it
	}
	err = json.Unmarshal(data, &got)
	token := cmp.Or(got.Token, got.AccessToken)
	if err != nil || token == "" {
		return "", fmt.Errorf("%s answers without a token", publicURL(realm))
	}
	return "Bearer " + token, nil
}

// tokenRequest sets the query of realm, or for an identity token makes a form of it.
func tokenRequest(realm *url.URL, service, scope string, user credential) request {
	form := realm.Query()
	if service != "" {
		form.Set("service", service)
	}
	form["scope"] = strings.Fields(scope)
	q := request{
		method: "GET", toRealm: true, auth: user.basic(), why: strings.TrimSpace("a token for " + scope),
	}
	if user.identity {
		form.Set("scope", scope)
		form.Set("grant_type", "refresh_token")
		form.Set("client_id", "box")
		form.Set("refresh_token", user.Secret)
		q.method, q.auth = "POST", ""
		q.header = http.Header{"Content-Type": {"application/x-www-form-urlencoded"}}
		q.setBody([]byte(form.Encode()))
	} else {
		realm.RawQuery = form.Encode()
	}
	q.target = realm.String()
	return q
}

// credential is a name and a password, or an identity token (a token that gets tokens).
type credential struct {
	Username, Secret string

	identity bool
}

// basic is the Authorization header, or "" if there is no password.
func (c credential) basic() string {
	if c.Secret == "" || c.identity {
		return ""
	}
	return "Basic " + base64.StdEncoding.EncodeToString([]byte(c.Username+":"+c.Secret))
}

// credential is that of Login, or what the user's config.json has for the registry. A public image
// needs none: if there is an error in the file, or its helper is missing, that is a warning.
func (c *Client) credential(ctx context.Context) (credential, error) {
	if c.login.Secret != "" {
		return c.login, nil
	}
	config, err := readDockerConfig()
	var found credential
	if err == nil {
		found, err = config.credential(ctx, c.Host)
	}
	if err != nil && ctx.Err() == nil {
		c.warn(fmt.Errorf("no credentials are sent: %w", err))
		return credential{}, nil
	}
	return found, err
}

func (c *Client) warn(err error) {
	if c.Warn != nil {
		c.Warn(err)
	}
}

// Login checks a name and a password with the registry and, if they are right, stores them where
// docker login does: in $DOCKER_CONFIG/config.json or ~/.docker/config.json, or with the credential
// helper that this file names. All else in the file stays as it is.
func (c *Client) Login(ctx context.Context, name, password string) error {
	switch {
	case name == "" || strings.Contains(name, ":"):
		return fmt.Errorf("invalid user name %q: it is not empty and has no colon", name)
	case password == "":
		return errors.New("the password is empty")
	}
	c.login = credential{Username: name, Secret: password}
	check := request{method: "GET", target: "/v2/", why: "are the name and the password right?"}
	if _, _, err := c.fetch(ctx, check); err != nil {
		return err
	}
	return editDockerConfig(func(config *dockerConfig) error {
		return config.store(ctx, c.Host, c.login)
	})
}

// Logout removes the stored credentials of a registry, and reports whether there were any.
func Logout(ctx context.Context, host string) (found bool, err error) {
	config, err := readDockerConfig()
	if err != nil {
		return false, err
	}
	if stored, err := config.credential(ctx, host); err != nil || stored.Secret == "" {
		return false, err
	}
	return true, editDockerConfig(func(config *dockerConfig) error {
		return config.erase(ctx, host)
	})
}
