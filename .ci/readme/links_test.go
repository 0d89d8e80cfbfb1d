package readme

import (
	"fmt"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	inlineCode = regexp.MustCompile("`[^`\n]*`")
	link       = regexp.MustCompile(`\]\(([^)\s]+)\)|^\[[^]]+\]: *(\S+)|(?:href|src)="([^"]+)"`)
	heading    = regexp.MustCompile(`(?m)^#+ +(.+?) *$`)
)

// TestLinks checks that the file of every link within the repository exists, and
// the heading of every anchor. Other links must only begin with https.
func TestLinks(t *testing.T) {
	for _, p := range readPages(t, "*.md", "*/*.md") {
		t.Run(p.name(), func(t *testing.T) {
			text := fence.ReplaceAllStringFunc(p.text, func(block string) string {
				return strings.Repeat("\n", strings.Count(block, "\n"))
			})
			for i, line := range strings.Split(text, "\n") {
				for _, found := range link.FindAllStringSubmatch(inlineCode.ReplaceAllString(line, ""), -1) {
					target := found[1] + found[2] + found[3]
					if problem := checkLink(t, p, target); problem != "" {
						t.Errorf("%s:%d: the link to %s: %s", p.path, i+1, target, problem)
					}
				}
			}
		})
	}
}

// checkLink returns what is wrong with a link, or "" if nothing is.
func checkLink(t *testing.T, p page, target string) string {
	if strings.Contains(target, ":") {
		if !strings.HasPrefix(target, "https://") {
			return "it is not https"
		}
		return ""
	}
	file, anchor, _ := strings.Cut(target, "#")
	text := p.text
	if file != "" {
		file = filepath.Join(root, path.Dir(p.path), file)
		if _, err := os.Stat(file); err != nil {
			return "there is no such file"
		}
		if anchor != "" {
			data, err := os.ReadFile(file)
			require.NoError(t, err)
			text = string(data)
		}
	}
	if anchor != "" && !anchors(text)[anchor] {
		return "there is no such heading"
	}
	return ""
}

// anchors returns the anchors that GitHub gives to the headings of a page.
func anchors(text string) map[string]bool {
	found := map[string]bool{}
	for _, h := range heading.FindAllStringSubmatch(fence.ReplaceAllString(text, ""), -1) {
		title := regexp.MustCompile(`\[([^]]*)\]\([^)]*\)`).ReplaceAllString(h[1], "$1")
		name := regexp.MustCompile(`[^\p{L}\p{N} _-]`).ReplaceAllString(strings.ToLower(title), "")
		name = strings.ReplaceAll(name, " ", "-")
		for first, n := name, 1; found[name]; n++ {
			name = fmt.Sprint(first, "-", n)
		}
		found[name] = true
	}
	return found
}

func TestAnchors(t *testing.T) {
	assert.Equal(t, map[string]bool{"what-you-get": true, "gins-log-with-a-link": true, "x": true, "x-1": true},
		anchors("# What you get\n## gin's `log`, with a [link](a.md)\n```sh\n# no heading\n```\n## X\n## X\n"))
}
