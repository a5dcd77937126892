// Answers what gjson makes of a path and a body: one line {"path":BASE64,"json":BASE64} in, one line of facts out.
package main

import (
	"bufio"
	"encoding/json"
	"os"

	"github.com/tidwall/gjson"
)

type question struct {
	Path []byte `json:"path"`
	JSON []byte `json:"json"`
}

type answer struct {
	GoValid bool   `json:"go_valid"` // encoding/json
	Valid   bool   `json:"valid"`    // gjson
	Exists  bool   `json:"exists"`
	Type    string `json:"type"`
	Raw     []byte `json:"raw"`
	String  []byte `json:"string"`
}

func main() {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 64<<20)
	out := bufio.NewWriter(os.Stdout)
	for lines.Scan() {
		var asked question
		if err := json.Unmarshal(lines.Bytes(), &asked); err != nil {
			panic(err)
		}
		found := gjson.Get(string(asked.JSON), string(asked.Path))
		told, _ := json.Marshal(answer{
			GoValid: json.Valid(asked.JSON),
			Valid:   gjson.ValidBytes(asked.JSON),
			Exists:  found.Exists(),
			Type:    found.Type.String(),
			Raw:     []byte(found.Raw),
			String:  []byte(found.String()),
		})
		out.Write(append(told, '\n'))
		out.Flush()
	}
}
