package architecture

import (
	"fmt"
	"slices"
	"testing"
)

// rule is one arrow that must not be: from any package that from matches to
// any that to matches. Paths of ours stand without the module's name.
type rule struct {
	name  string
	from  func(string) bool
	to    func(string) bool
	links bool      // what is linked counts, not only what is imported
	plant [2]string // a violation that must be found
}

var (
	everything = func(string) bool { return true }
	domain     = exactly("shared/credential", "shared/resource", "shared/identity", "shared/access", "shared/audit", "shared/id",
		"shared/connector", "shared/probe", "shared/envelope", "shared/store", "shared/secret", "shared/fault", "shared/queue")
	// probers are not netguard: every probe goes out by it, so shared/probe
	// itself is built on it.
	probers  = but(below("shared/probe"), anyOf("shared/probe/netguard"))
	adapters = either(below("shared/store"), below("shared/envelope"), probers, below("shared/connector"),
		below("shared/queue"), anyOf("shared/httpapi", "shared/api", "shared/lambdahttp", "shared/runtimehost", "shared/boot"))
	kits = anyOf("shared/store/storetest", "shared/store/dynamo/dynamotest", "shared/connector/conntest", "shared/envelope/kmstest", "shared/secret/secrettest",
		"shared/probe/probetest", "shared/lambdahttp/internal/rows", "shared/lambdahttp/runtimehost/internal", "shared/endtoend",
		"shared/lambdahttp/runtimehost/account", "shared/lambdahttp/runtimehost/cmd")
	builtins = exactly("shared/connector/builtin", "shared/probe/builtin")
	aws      = anyOf("github.com/aws/aws-sdk-go-v2", "github.com/aws/smithy-go")
	awsRooms = anyOf("shared/store/dynamo", "shared/envelope/awskms", "shared/envelope/kmstest", "shared/boot", "shared/queue", "shared/probe/s3", "shared/probe/dynamodb", "shared/probe/http", // which signs requests to AWS APIs
		"shared/lambdahttp/runtimehost/internal/plain")
	drivers = anyOf("github.com/jackc/pgx", "github.com/go-sql-driver/mysql", "github.com/microsoft/go-mssqldb",
		"github.com/aws/aws-sdk-go-v2/service/s3", "github.com/redis/go-redis", "github.com/pkg/sftp", "github.com/jlaffaye/ftp",
		"go.mongodb.org/mongo-driver", "github.com/twmb/franz-go", "github.com/Azure/azure-sdk-for-go", "github.com/go-ldap/ldap",
		"github.com/minio/minio-go", "golang.org/x/oauth2", "golang.org/x/crypto/ssh")
	kms     = anyOf("shared/envelope/awskms", "github.com/aws/aws-sdk-go-v2/service/kms")
	engines = anyOf("github.com/cockroachdb/pebble", "go.etcd.io/bbolt", "modernc.org/sqlite")
)

func rules() []rule {
	return slices.Concat(roomRules(), functionRules())
}

// roomRules are about who may know whom.
func roomRules() []rule {
	return []rule{
		{
			name: "nothing imports a function", from: everything, to: anyOf("functions"),
			plant: [2]string{"shared/api/keys", "functions/token"},
		},
		{
			name: "the domain knows no adapter", from: domain, to: adapters,
			plant: [2]string{"shared/credential", "shared/store/dynamo"},
		},
		{
			name: "the domain links no adapter by way of another room", from: domain, to: adapters, links: true,
			plant: [2]string{"shared/credential", "shared/httpapi"},
		},
		{
			name: "the credential's rules do not know HTTP", from: exactly("shared/credential"), to: exactly("net/http"),
			plant: [2]string{"shared/credential", "net/http"},
		},
		{
			name: "only functions choose the builtin lists", from: anyOf("shared"), to: builtins,
			plant: [2]string{"shared/api/credentials", "shared/probe/builtin"},
		},
		{
			name: "the AWS SDK stays in its rooms", from: but(anyOf("shared"), awsRooms), to: aws,
			plant: [2]string{"shared/api/credentials", "github.com/aws/aws-sdk-go-v2/service/dynamodb"},
		},
		{
			name: "functions reach AWS through a room", from: anyOf("functions"), to: aws,
			plant: [2]string{"functions/get", "github.com/aws/aws-sdk-go-v2/config"},
		},
		{
			name: "wire forms know the shell and the domain, no implementation",
			from: anyOf("shared/api", "shared/httpapi"),
			to: either(below("shared/store"), below("shared/envelope"), probers, below("shared/connector"),
				below("shared/queue"), anyOf("shared/boot", "shared/lambdahttp")),
			plant: [2]string{"shared/api/credentials", "shared/envelope/localkms"},
		},
		{
			name: "the shell knows no endpoint", from: anyOf("shared/httpapi"), to: anyOf("shared/api", "shared/credential"),
			plant: [2]string{"shared/httpapi", "shared/credential"},
		},
		{
			name: "the shell and the endpoints on credentials see no rows", from: anyOf("shared/httpapi", "shared/api/credentials", "shared/api/resources"), to: anyOf("shared/store", "shared/envelope"),
			plant: [2]string{"shared/httpapi", "shared/store"},
		},
		{
			name: "boot is of the process and knows no room of the domain", from: anyOf("shared/boot"), to: anyOf("shared/credential", "shared/identity", "shared/store", "shared/envelope", "shared/connector", "shared/probe", "shared/audit"),
			plant: [2]string{"shared/boot", "shared/store"},
		},
		{
			name: "stores do not know key services", from: below("shared/store"), to: anyOf("shared/envelope", "shared/httpapi", "shared/probe", "shared/credential"),
			plant: [2]string{"shared/store/dynamo", "shared/envelope"},
		},
		{
			name: "key services do not know stores", from: anyOf("shared/envelope"), to: anyOf("shared/store", "shared/httpapi", "shared/probe", "shared/credential"),
			plant: [2]string{"shared/envelope/awskms", "shared/store"},
		},
		{
			name: "declaring a type needs no driver", from: anyOf("shared/connector"), to: either(drivers, probers), links: true,
			plant: [2]string{"shared/connector/postgres", "github.com/jackc/pgx/v5"},
		},
		{
			name: "drivers are linked by probers only", from: but(anyOf("shared"), either(anyOf("shared/probe"), awsRooms)), to: drivers, links: true,
			plant: [2]string{"shared/credential", "github.com/go-sql-driver/mysql"},
		},
		{
			name: "test kits stay out of what is shipped", from: but(everything, kits), to: kits, links: true,
			plant: [2]string{"functions/credence", "shared/envelope/kmstest"},
		},
		{
			name: "the end-to-end suite reads the contract on its own", from: anyOf("shared/endtoend"), to: but(anyOf("shared", "functions"), anyOf("shared/endtoend")),
			plant: [2]string{"shared/endtoend", "shared/fault"},
		},
		{
			name: "one JSON parser", from: either(anyOf("shared"), anyOf("functions")), to: exactly("encoding/json", "encoding/json/v2", "encoding/json/jsontext"),
			plant: [2]string{"shared/api/credentials", "encoding/json"},
		},
	}
}

// functionRules are about what each function links: it says the same as the
// function's IAM policy.
func functionRules() []rule {
	return []rule{
		{
			name: "functions that do not probe link no driver",
			from: but(anyOf("functions"), anyOf("functions/probe", "functions/worker", "functions/credence")),
			to:   either(drivers, exactly("shared/probe/builtin")), links: true,
			plant: [2]string{"functions/create", "github.com/jackc/pgx/v5/pgconn"},
		},
		{
			name: "functions without a right to KMS do not link it",
			from: anyOf("functions/token", "functions/get", "functions/schedule", "functions/teams"),
			to:   kms, links: true,
			plant: [2]string{"functions/get", "shared/envelope/awskms"},
		},
		{
			name: "only the local server has an embedded engine",
			from: but(anyOf("functions"), anyOf("functions/credence")), to: either(engines, anyOf("shared/store/embedded", "shared/envelope/localkms")), links: true,
			plant: [2]string{"functions/update", "shared/envelope/localkms"},
		},
	}
}

// violations lists the arrows of g that a rule forbids.
func (r rule) violations(g graph) []string {
	var found []string
	for path, p := range g {
		from, _ := short(path)
		if !r.from(from) {
			continue
		}
		reached := p.Imports
		if r.links {
			reached = p.Deps
		}
		for _, target := range reached {
			if to, _ := short(target); to != from && r.to(to) {
				found = append(found, fmt.Sprintf("%s → %s", from, to))
			}
		}
	}
	slices.Sort(found)
	return found
}

func TestArrows(t *testing.T) {
	g := load(t)
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			for _, v := range r.violations(g) {
				t.Error(v)
			}
		})
	}
}

// TestPlanted shows that each rule finds a violation of itself.
func TestPlanted(t *testing.T) {
	for _, r := range rules() {
		t.Run(r.name, func(t *testing.T) {
			from, to := r.plant[0], r.plant[1]
			g := planted(module+from, to)
			if within(to, "shared") || within(to, "functions") {
				g = planted(module+from, module+to)
			}
			if len(r.violations(g)) != 1 {
				t.Errorf("%s → %s passes", from, to)
			}
		})
	}
}
