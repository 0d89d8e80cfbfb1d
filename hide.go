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

	// minSecret is the length of the shortest secret that is hidden. A shorter one
	// is a part of too many words, and none of Gumroad's secrets is that short.
	minSecret = 8 // bytes

	// maxPiece is the longest piece of a secret that is not hidden.
	maxPiece = 11 // bytes

	// maxSecret is the length of the longest secret that is looked for. Gumroad's
	// are shorter, but a visitor can send a long code, which takes time to find.
	maxSecret = 1024 // bytes

	// tokenLike has the characters of tokens, as they are and in a form. A word of
	// at least minToken such characters may be an unknown token, such as the new one
	// in a broken answer. The longest error code has 29 characters. Doorkeeper's
	// codes and tokens have 43.
	tokenLike = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_%+=~-"
	minToken  = 32 // bytes

	maxText  = 240      // runes of a text in an error
	maxRead  = 4 << 10  // bytes of a text that are examined
	maxCause = 64 << 10 // bytes of the text of a cause
)

// redact returns text for use in an error: on one line, short, without markup and
// without secrets. It hides words that look like a token too, unless they are in
// shown.
func redact(text, shown string, secrets []string) string {
	cut := len(text) > maxRead
	if cut {
		// A token that is cut here may be too short to look like one.
		text = strings.TrimRight(text[:maxRead], tokenLike)
	}
	text = strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return ' '
		}
		return r
	}, noMarkup.Replace(hide(text, shown, secrets)))
	runes := []rune(strings.TrimSpace(text))
	if cut = cut || len(runes) > maxText; cut {
		return strings.TrimSpace(string(runes[:min(len(runes), maxText)])) + "…"
	}
	return string(runes)
}

// noMarkup takes "<" and ">" out of a text, since some programs write errors into
// pages without escaping them.
var noMarkup = strings.NewReplacer("<", " ", ">", " ")

// hide replaces the secrets in text, every piece of them that is longer than
// maxPiece, and each word that looks like a token and is not in shown.
func hide(text, shown string, secrets []string) string {
	text = hideWhole(text, secrets)
	letters := bare(text)
	marked := make([]bool, len(letters))
	mark := func(from, to int) {
		for i := from; i < to; i++ {
			marked[i] = true
		}
	}

	said := plain(letters)
	for _, secret := range secrets {
		if len(secret) > maxSecret {
			continue
		}
		whole := plain(bare(secret))
		size := min(len(whole), maxPiece+1)
		if size < minSecret {
			continue
		}
		for i := range max(0, len(said)-size+1) {
			if strings.Contains(whole, said[i:i+size]) {
				mark(i, i+size)
			}
		}
	}

	for i := 0; i < len(letters); {
		end := i // of the word
		for end < len(letters) && strings.IndexByte(tokenLike, letters[end].byte) >= 0 && (end == i || letters[end].from == letters[end-1].to) {
			end++
		}
		if end > i {
			word := text[letters[i].from:letters[end-1].to]
			if len(word) >= minToken && !strings.Contains(shown, word) {
				mark(i, end)
			}
		}
		i = max(end, i+1)
	}

	var rest strings.Builder
	end := 0
	for i, letter := range letters {
		if marked[i] {
			if i == 0 || !marked[i-1] {
				rest.WriteString(text[end:letter.from] + hidden)
			}
			end = letter.to
		}
	}
	return rest.String() + text[end:]
}

// hideWhole replaces each secret in text, as it is and as a form or JSON encodes it.
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

// letter is a byte of an unescaped text, and the place in the text that it is from.
type letter struct {
	byte
	from, to int // in bytes
}

// escape matches a character that is escaped for a form, JSON or HTML, one or more
// times.
var escape = regexp.MustCompile(`%(?:25)*([0-9A-Fa-f]{2})|\\+(?:u00|x)([0-9A-Fa-f]{2})|&(?:amp;)*(#?[0-9A-Za-z]{2,8};)|\\+[nrt]`)

// bare returns text unescaped, without white space, backslashes and invisible
// characters.
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

// plain returns the letters as a text.
func plain(letters []letter) string {
	text := make([]byte, len(letters))
	for i, letter := range letters {
		text[i] = letter.byte
	}
	return string(text)
}
