package docs

import (
	"encoding/json"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/seed-0b728cf8/httpbreaker/internal/doctest"
)

const operatorsPage = "https://github.com/seed-0b728cf8/httpbreaker/blob/main/docs/operating.md#"

func TestEachAlertLinksToWhatToDo(t *testing.T) {
	rules := file(t, "../../contrib/breakerprom/alerts.yml")
	links := regexp.MustCompile(`(?m)^ +runbook_url: (.*)$`).FindAllStringSubmatch(rules, -1)
	assert.Len(t, links, strings.Count(rules, "- alert: "))
	for _, link := range links {
		checkOperatorsLink(t, link[1])
	}
}

func TestEachPanelLinksToItsExplanation(t *testing.T) {
	var dashboard struct {
		Panels []struct {
			Type, Title string
			Links       []struct{ URL string }
		}
	}
	require.NoError(t, json.Unmarshal([]byte(file(t, "../../contrib/breakerprom/dashboard.json")), &dashboard))
	for _, panel := range dashboard.Panels {
		if panel.Type == "row" {
			continue
		}
		require.NotEmpty(t, panel.Links, panel.Title)
		for _, link := range panel.Links {
			checkOperatorsLink(t, link.URL)
		}
	}
}

func checkOperatorsLink(t *testing.T, url string) {
	anchor, ok := strings.CutPrefix(url, operatorsPage)
	assert.True(t, ok, "%s is not on the page", url)
	assert.True(t, doctest.HasHeading(file(t, "../../docs/operating.md"), anchor), "no heading #%s", anchor)
}

func file(t *testing.T, name string) string {
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}
