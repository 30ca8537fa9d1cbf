package credentials

import (
	"testing"

	"github.com/go-json-experiment/json"

	"credence/shared/credential"
)

func TestReferencesOnTheWire(t *testing.T) {
	got, err := json.Marshal(referencesOf(101, []credential.Reference{
		{Kind: "data_source", ID: "7", Number: true, Name: "orders", Owner: 42}, {Kind: "notebook", ID: "007", Owner: 42},
	}))
	const want = `[{"type":"data_source","id":7,"name":"orders","owner_id":42,"org_id":101},{"type":"notebook","id":"007","name":"","owner_id":42,"org_id":101}]`
	if err != nil || string(got) != want {
		t.Errorf("got  %s\nwant %s (%v)", got, want, err)
	}
}
