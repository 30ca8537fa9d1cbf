//go:build unix

package architecture

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// stackName is the namespace of metrics that are counted in logs.
const stackName = "AWS::StackName"

// alarms are all there are: what each sums or takes the largest of, and beyond
// what it tells. Metrics of AWS are named as its documents name them.
var alarms = map[string]struct {
	namespace, metric, dimension string
	statistic                    string
	comparison                   string
	threshold, period            int
}{
	"ErrorsAlarm":         {"AWS/Lambda", "Errors", "FunctionName", "Sum", "GreaterThanOrEqualToThreshold", 1, 300},
	"ThrottlesAlarm":      {"AWS/Lambda", "Throttles", "FunctionName", "Sum", "GreaterThanOrEqualToThreshold", 1, 300},
	"ServerErrorsAlarm":   {"AWS/ApiGateway", "5xx", "ApiId", "Sum", "GreaterThanThreshold", 5, 300},
	"SlowAlarm":           {"AWS/Lambda", "Duration", "FunctionName", "Maximum", "GreaterThanThreshold", 7500, 300},
	"SlowProbesAlarm":     {"AWS/Lambda", "Duration", "FunctionName", "Maximum", "GreaterThanThreshold", 10000, 300},
	"TableThrottlesAlarm": {"AWS/DynamoDB", "ReadThrottleEvents WriteThrottleEvents", "TableName", "Sum", "GreaterThanThreshold", 5, 300},
	"IntegrityAlarm":      {stackName, "IntegrityFailures", "", "Sum", "GreaterThanOrEqualToThreshold", 1, 60},
	"KeyServiceAlarm":     {stackName, "KeyServiceFailures", "", "Sum", "GreaterThanThreshold", 5, 300},
}

// measure is one metric that an alarm looks at.
type measure struct{ namespace, metric, dimension, of, statistic, period string }

// measures lists what an alarm looks at, be it one metric or several.
func measures(p object) []measure {
	one := func(m object, statistic, period any) measure {
		out := measure{namespace: fmt.Sprint(m["Namespace"]), metric: fmt.Sprint(m["MetricName"]), statistic: fmt.Sprint(statistic), period: fmt.Sprint(period)}
		if d, ok := m["Dimensions"].([]any); ok {
			d := d[0].(object)
			out.dimension, out.of = fmt.Sprint(d["Name"]), fmt.Sprint(d["Value"])
		}
		return out
	}
	list, several := p["Metrics"].([]any)
	if !several {
		return []measure{one(p, p["Statistic"], p["Period"])}
	}
	var out []measure
	for _, m := range list {
		if stat, ok := m.(object)["MetricStat"].(object); ok {
			out = append(out, one(stat["Metric"].(object), stat["Stat"], stat["Period"]))
		}
	}
	return out
}

// expression is what an alarm makes of several metrics, which alone is compared.
func expression(p object) string {
	out := ""
	if list, several := p["Metrics"].([]any); several {
		for _, m := range list {
			m := m.(object)
			if m["ReturnData"] == true {
				out += fmt.Sprint(m["Expression"])
			}
		}
	}
	return out
}

// TestAlarms: each alarm looks at a metric that there is, of everything that it
// is about, tells the topic, and is explained to who is woken by it.
func TestAlarms(t *testing.T) {
	tpl := readTemplate(t)
	guide, err := os.ReadFile(filepath.Join(root(t), "docs", "operations.md"))
	if err != nil {
		t.Fatal(err)
	}
	of := map[string][]string{} // metric → what it is watched of
	for id, r := range tpl.of("AWS::CloudWatch::Alarm") {
		want, known := alarms[id]
		p := r.Properties
		if !known {
			t.Errorf("%s has no row", id)
			continue
		}
		differ(t, id, []any{p["ComparisonOperator"], p["Threshold"], p["EvaluationPeriods"], p["TreatMissingData"]}, []any{want.comparison, want.threshold, 1, "notBreaching"})
		differ(t, "whom "+id+" tells", p["AlarmActions"], []any{"TellOfAlarms", []any{"AlarmTopicArn"}, "AWS::NoValue"})
		if e := expression(p); e != "" && e != map[string]string{"Sum": "SUM(METRICS())", "Maximum": "MAX(METRICS())"}[want.statistic] {
			t.Errorf("%s makes %q of its metrics", id, e)
		}
		for _, m := range measures(p) {
			if m.namespace != want.namespace || !slices.Contains(strings.Fields(want.metric), m.metric) || m.dimension != want.dimension || m.statistic != want.statistic || m.period != fmt.Sprint(want.period) {
				t.Errorf("%s looks at %+v", id, m)
			}
			of[m.metric] = append(of[m.metric], m.of)
		}
	}
	for id := range alarms {
		if tpl.Resources[id].Type == "" || !strings.Contains(string(guide), "`"+id+"`") {
			t.Errorf("%s is not in the template, or docs/operations.md does not explain it", id)
		}
	}
	watched(t, tpl, of)
}

// watched holds each metric to all that has it.
func watched(t *testing.T, tpl template, of map[string][]string) {
	t.Helper()
	functions, tables, routed := []string{}, []string{}, []string{}
	for id := range tpl.of("AWS::Serverless::Function") {
		functions = append(functions, id)
		if id != "AdminFunction" { // takes the time that a rewrap takes
			routed = append(routed, id)
		}
	}
	for id := range tpl.of("AWS::DynamoDB::Table") {
		tables = append(tables, fmt.Sprint([]any{"MakeTables", id, "Existing" + id}))
	}
	for metric, want := range map[string][]string{
		"Errors": functions, "Throttles": functions, "Duration": routed, "5xx": {"Api"},
		"ReadThrottleEvents": tables, "WriteThrottleEvents": tables,
	} {
		got := of[metric]
		slices.Sort(got)
		slices.Sort(want)
		differ(t, "what "+metric+" is watched of", got, want)
	}
}

// TestFilters: what an alarm counts in logs is counted in the log of each
// function that may write such a line, and the function does write there.
func TestFilters(t *testing.T) {
	tpl := readTemplate(t)
	counted := map[string][]string{} // metric → folders
	for id, r := range tpl.of("AWS::Logs::MetricFilter") {
		to := r.Properties["MetricTransformations"].([]any)[0].(object)
		metric := fmt.Sprint(to["MetricName"])
		differ(t, id, to, object{"MetricNamespace": stackName, "MetricName": metric, "MetricValue": "1", "DefaultValue": 0, "Unit": "Count"})
		log := fmt.Sprint(r.Properties["LogGroupName"])
		counted[metric] = append(counted[metric], strings.ToLower(strings.TrimSuffix(log, "Log")))
	}
	want := map[string][]string{}
	for name, d := range deployed(t) {
		if len(d.Key["Decrypt"])+len(d.Key["ReEncryptFrom"]) > 0 {
			want["IntegrityFailures"] = append(want["IntegrityFailures"], name)
		}
		if len(d.Key) > 0 && name != "admin" { // whose caller is told
			want["KeyServiceFailures"] = append(want["KeyServiceFailures"], name)
		}
		log := strings.TrimSuffix(d.ID, "Function") + "Log"
		differ(t, "the log of "+d.ID, tpl.Resources[d.ID].Properties["LoggingConfig"], object{"LogGroup": log})
	}
	for _, lists := range []map[string][]string{counted, want} {
		for _, list := range lists {
			slices.Sort(list)
		}
	}
	differ(t, "what is counted where", counted, want)
}

// TestKeyEndangered: the calls that end the key or change who may use it are
// told, wherever they come from.
func TestKeyEndangered(t *testing.T) {
	r := readTemplate(t).Resources["KeyEndangered"]
	differ(t, "the rule", r.Properties["EventPattern"], object{
		"source": []any{"aws.kms"}, "detail-type": []any{"AWS API Call via CloudTrail"},
		"detail": object{
			"eventName": []any{"DisableKey", "ScheduleKeyDeletion", "PutKeyPolicy"},
			"resources": object{"ARN": []any{[]any{"MakeKey", "Key.Arn", "KmsKeyArn"}}},
		},
	})
	differ(t, "its target", r.Properties["Targets"], []any{object{"Id": "topic", "Arn": "AlarmTopicArn"}})
	if r.Type != "AWS::Events::Rule" || r.Condition != "TellOfAlarms" || r.Properties["State"] != nil {
		t.Errorf("the rule is %+v", r)
	}
}
