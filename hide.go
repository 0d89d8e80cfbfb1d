package gumroad

import (
	"cmp"
	"encoding/json"
	"html"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	hidden = "[hidden]"

	// minSecret is the length from which a secret of the request is hidden. A
	// shorter one is part of too many words, and no secret of Gumroad's.
	minSecret = 8 // bytes

	// maxPiece is how much of a secret may be shown in a row.
	maxPiece = 11 // bytes

	// maxSecret is the length up to which a secret is looked for. Gumroad's are
	// shorter, but a visitor can make up a code that takes long to look for.
	maxSecret = 1024 // bytes

	// tokenLike is what tokens are made of, as they are and as they stand in a
	// form. A word of at least minToken such characters may be a token that we do
	// not know, such as the new one in a spoiled answer. The longest error code
	// has 29 characters, Doorkeeper's codes and tokens have 43.
	tokenLike = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_%+=~-"
	minToken  = 32 // bytes

	maxText = 240     // runes of a text that came from elsewhere
	maxRead = 4 << 10 // bytes that are looked at for it

	maxCause = 64 << 10 // bytes that the text of a cause may have
)

// redact makes text that came from elsewhere fit for an error: on one line,
// short, without markup, and without secrets. A word that looks like a token is
// hidden too, unless it is a part of shown.
func redact(text, shown string, secrets []string) string {
	cut := len(text) > maxRead
	if cut {
		// The rest of a token would no longer look like one.
		text = strings.TrimRight(text[:maxRead], tokenLike)
	}
	text = strings.Map(func(r rune) rune {
		// A program may write an error into a page without escaping it.
		if !unicode.IsPrint(r) || r == '<' || r == '>' {
			return ' '
		}
		return r
	}, hide(text, shown, secrets))
	runes := []rune(strings.TrimSpace(text))
	if cut = cut || len(runes) > maxText; cut {
		return strings.TrimSpace(string(runes[:min(len(runes), maxText)])) + "…"
	}
	return string(runes)
}

// hide takes out of text the secrets, every piece of them that is longer than
// maxPiece, and the words that look like a token and are not a part of shown.
func hide(text, shown string, secrets []string) string {
	text = hideWhole(text, secrets)
	letters := bare(text)
	hide := make([]bool, len(letters))
	var pieces []string
	for _, secret := range secrets {
		if len(secret) > maxPiece && len(secret) <= maxSecret {
			pieces = append(pieces, plain(bare(secret)))
		}
	}
	all := plain(letters)
	for i := range max(0, len(all)-maxPiece) {
		if slices.ContainsFunc(pieces, func(secret string) bool { return strings.Contains(secret, all[i:i+maxPiece+1]) }) {
			for j := range maxPiece + 1 {
				hide[i+j] = true
			}
		}
	}
	for i := 0; i < len(letters); i++ {
		first := i
		for i < len(letters) && strings.IndexByte(tokenLike, letters[i].letter) >= 0 && (i == first || letters[i].from == letters[i-1].to) {
			i++
		}
		if i == first {
			continue
		}
		i--
		if word := text[letters[first].from:letters[i].to]; len(word) >= minToken && !strings.Contains(shown, word) {
			for j := first; j <= i; j++ {
				hide[j] = true
			}
		}
	}

	var rest strings.Builder
	end := 0
	for i, letter := range letters {
		if hide[i] {
			if i == 0 || !hide[i-1] {
				rest.WriteString(text[end:letter.from] + hidden)
			}
			end = letter.to
		}
	}
	return rest.String() + text[end:]
}

// hideWhole takes out of text the secrets as they are and as they stand in a
// form and in JSON.
func hideWhole(text string, secrets []string) string {
	var shapes []string
	for _, secret := range secrets {
		if len(secret) >= minSecret && len(secret) <= maxSecret {
			quoted, _ := json.Marshal(secret)
			shapes = append(shapes, secret, url.QueryEscape(secret), string(quoted[1:len(quoted)-1]))
		}
	}
	// The longest first, since one secret can be the beginning of another.
	slices.SortFunc(shapes, func(a, b string) int { return cmp.Compare(len(b), len(a)) })
	var pairs []string
	for _, shape := range shapes {
		pairs = append(pairs, shape, hidden)
	}
	return strings.NewReplacer(pairs...).Replace(text)
}

// letter is a byte that a text says, and where the text says it.
type letter struct {
	letter   byte
	from, to int // bytes of the text
}

// escape matches a character as it stands in a form, in JSON or in HTML, where it
// may have been escaped more than once.
var escape = regexp.MustCompile(`%(?:25)*([0-9A-Fa-f]{2})|\\+u00([0-9A-Fa-f]{2})|&(?:amp;)*(#?[0-9A-Za-z]{2,8};)|\\+[nrt]`)

// bare returns what text says, without escapes, white space, backslashes and what
// cannot be seen.
func bare(text string) []letter {
	var letters []letter
	add := func(said string, from, to int) {
		for i := range len(said) {
			if said[i] > ' ' && said[i] != '\\' {
				letters = append(letters, letter{said[i], from, to})
			}
		}
	}
	escapes := escape.FindAllStringSubmatchIndex(text, -1)
	for i := 0; i < len(text); {
		if len(escapes) == 0 || i < escapes[0][0] {
			r, size := utf8.DecodeRuneInString(text[i:])
			if unicode.IsGraphic(r) && !unicode.IsSpace(r) {
				add(text[i:i+size], i, i+size)
			}
			i += size
			continue
		}
		at := escapes[0]
		switch {
		case at[2] >= 0:
			code, _ := strconv.ParseUint(text[at[2]:at[3]], 16, 8)
			add(string([]byte{byte(code)}), at[0], at[1])
		case at[4] >= 0:
			code, _ := strconv.ParseUint(text[at[4]:at[5]], 16, 8)
			add(string(rune(code)), at[0], at[1])
		case at[6] >= 0:
			add(html.UnescapeString("&"+text[at[6]:at[7]]), at[0], at[1])
		}
		i, escapes = at[1], escapes[1:]
	}
	return letters
}

func plain(letters []letter) string {
	text := make([]byte, len(letters))
	for i, letter := range letters {
		text[i] = letter.letter
	}
	return string(text)
}
