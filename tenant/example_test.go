package tenant_test

import (
	"fmt"

	"github.com/playgate/playgate/tenant"
)

func Example() {
	directory, err := tenant.New([]tenant.Organization{{ID: "acme", Environments: []tenant.Environment{
		{ID: "acme-prod", Hosts: []string{"play.acme.example"}},
	}}})
	if err != nil {
		fmt.Println(err)
		return
	}
	environment, root, _ := directory.ByHost(tenant.NormalizeHost("Stream.Play.Acme.Example:443"))
	fmt.Println(environment.ID, root)
	// Output: acme-prod stream
}
