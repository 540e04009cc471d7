// Searching: Docker Hub's index, or the catalog of another registry.

package registry

import (
	"context"
	"encoding/json"
	"fmt"
	"net/url"
	"strconv"
	"strings"
)

// Found is a repository that a search has found, in the form of Docker Hub's /v1/search.
type Found struct {
	Name        string `json:"name"`
	Description string `json:"description"`
	Stars       int    `json:"star_count"`
	Official    bool   `json:"is_official"`
}

// SplitSearch returns the address of a registry before the word to search for, "" for the default
// registry: only a first part that can be an address is one.
func SplitSearch(text string) (address, word string) {
	address, word, elsewhere := strings.Cut(text, "/")
	if !elsewhere || !strings.ContainsAny(address, ".:") && address != "localhost" {
		return "", text
	}
	return address, word
}

// Search returns at most limit repositories for a word: from the index of the default registry, or
// from another registry's catalog, those whose name contains it. Not every registry has a catalog.
func (c *Client) Search(ctx context.Context, word string, limit int) (found []Found, err error) {
	if c.Host == defaultRegistry {
		return c.searchIndex(ctx, word, limit)
	}
	names, err := c.catalog(ctx)
	for _, name := range names {
		if strings.Contains(name, word) && len(found) < limit {
			found = append(found, Found{Name: c.Host + "/" + name})
		}
	}
	return found, err
}

func (c *Client) searchIndex(ctx context.Context, word string, limit int) ([]Found, error) {
	query := url.Values{"q": {word}, "n": {strconv.Itoa(limit)}}
	_, data, err := c.fetch(ctx, request{
		method: "GET", target: "https://" + defaultIndex + "/v1/search?" + query.Encode(),
		why: "which images have this word?",
	})
	if err != nil {
		return nil, err
	}
	var answer struct{ Results []Found }
	if err := json.Unmarshal(data, &answer); err != nil {
		return nil, fmt.Errorf("%s: %w", defaultIndex, err)
	}
	for i, one := range answer.Results {
		answer.Results[i].Name = Printable(one.Name)
		answer.Results[i].Description = Printable(one.Description)
	}
	return answer.Results, nil
}

// catalog lists all repositories. The list comes in pages, of which each links to the next
// (RFC 8288). An endless one is an error.
func (c *Client) catalog(ctx context.Context) (names []string, err error) {
	q := request{
		method: "GET", target: "/v2/_catalog?n=1000", scope: "registry:catalog:*",
		why: "which repositories are there?",
	}
	for budget := 4 * MaxDocument; q.target != ""; {
		header, data, err := c.fetch(ctx, q)
		if err != nil {
			return nil, err
		}
		var page struct{ Repositories []string }
		if err := json.Unmarshal(data, &page); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Host, err)
		}
		if budget -= max(len(data), MaxDocument/64); budget < 0 {
			return nil, fmt.Errorf("the list of %s does not end: gave up after %d names",
				c.Host, len(names))
		}
		for _, name := range page.Repositories {
			names = append(names, Printable(name))
		}
		q.target = nextPage(header.Get("Link"))
	}
	return names, nil
}

// nextPage is where a Link header leads to, such as </v2/_catalog?last=x>; rel="next".
func nextPage(link string) string {
	target, params, _ := strings.Cut(link, ">")
	if !strings.Contains(params, "next") {
		return ""
	}
	return strings.TrimPrefix(target, "<")
}
