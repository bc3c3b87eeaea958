// Writes built-in.jsonl: the schemas of the kinds that local-cluster serves, one definition a line, cut from the
// OpenAPI documents of Kubernetes, with what those don't say: how Go writes each field and its number in protobuf.
// See README.md for how to run it.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"sort"
	"strings"

	admission "k8s.io/api/admissionregistration/v1"
	apps "k8s.io/api/apps/v1"
	authentication "k8s.io/api/authentication/v1"
	authorization "k8s.io/api/authorization/v1"
	autoscalingv1 "k8s.io/api/autoscaling/v1"
	autoscaling "k8s.io/api/autoscaling/v2"
	batch "k8s.io/api/batch/v1"
	coordination "k8s.io/api/coordination/v1"
	core "k8s.io/api/core/v1"
	discovery "k8s.io/api/discovery/v1"
	events "k8s.io/api/events/v1"
	networking "k8s.io/api/networking/v1"
	policy "k8s.io/api/policy/v1"
	rbac "k8s.io/api/rbac/v1"
	extensions "k8s.io/apiextensions-apiserver/pkg/apis/apiextensions/v1"
	meta "k8s.io/apimachinery/pkg/apis/meta/v1"
)

var roots = []any{
	core.ConfigMapList{}, core.SecretList{}, core.NamespaceList{}, core.NodeList{}, core.PodList{},
	core.ServiceList{}, core.EndpointsList{}, core.ServiceAccountList{}, core.EventList{}, core.Binding{},
	core.PersistentVolumeClaimList{},
	apps.DeploymentList{}, apps.ReplicaSetList{}, apps.StatefulSetList{}, apps.DaemonSetList{},
	batch.JobList{}, batch.CronJobList{},
	networking.IngressList{}, networking.IngressClassList{}, networking.NetworkPolicyList{},
	discovery.EndpointSliceList{}, coordination.LeaseList{}, events.EventList{},
	admission.ValidatingWebhookConfigurationList{}, admission.MutatingWebhookConfigurationList{},
	extensions.CustomResourceDefinitionList{},
	rbac.RoleList{}, rbac.ClusterRoleList{}, rbac.RoleBindingList{}, rbac.ClusterRoleBindingList{},
	policy.PodDisruptionBudgetList{}, policy.Eviction{},
	autoscaling.HorizontalPodAutoscalerList{}, autoscalingv1.Scale{},
	authentication.TokenReview{}, authentication.TokenRequest{}, authentication.SelfSubjectReview{},
	authorization.SubjectAccessReview{}, authorization.LocalSubjectAccessReview{},
	authorization.SelfSubjectAccessReview{}, authorization.SelfSubjectRulesReview{},
	meta.Status{}, meta.DeleteOptions{}, meta.ListMeta{},
}

// Types whose form in JSON is not that of their fields.
var opaque = map[string]bool{
	"Time": true, "MicroTime": true, "Duration": true, "Quantity": true, "IntOrString": true, "FieldsV1": true,
	"RawExtension": true, "JSON": true, "JSONSchemaPropsOrBool": true, "JSONSchemaPropsOrArray": true,
	"JSONSchemaPropsOrStringArray": true,
}

type definition struct {
	Name   string            `json:"name"`
	Fields map[string]string `json:"fields,omitempty"`
	Schema map[string]any    `json:"schema"`
}

func name(t reflect.Type) string {
	parts := strings.Split(t.PkgPath(), "/")
	host := strings.Split(parts[0], ".")
	for i, j := 0, len(host)-1; i < j; i, j = i+1, j-1 {
		host[i], host[j] = host[j], host[i]
	}
	return strings.Join(append(append(host, parts[1:]...), t.Name()), ".")
}

// A field's path of numbers in protobuf, then how Go writes it: `p` present or absent, `o` left out when it is
// zero, `z` always written.
func fields(t reflect.Type, prefix string, into map[string]string, found func(reflect.Type)) {
	for i := 0; i < t.NumField(); i++ {
		field := t.Field(i)
		tag := strings.Split(field.Tag.Get("json"), ",")
		number := ""
		if numbered := strings.Split(field.Tag.Get("protobuf"), ","); len(numbered) > 1 {
			number = numbered[1]
		}
		inner := field.Type
		for inner.Kind() == reflect.Pointer || inner.Kind() == reflect.Slice || inner.Kind() == reflect.Map {
			inner = inner.Elem()
		}
		if tag[0] == "" && field.Anonymous {
			inlined := map[string]string{}
			fields(inner, prefix+number+".", inlined, found)
			for key, how := range inlined {
				// The type of an object is beside its message in protobuf, not in it.
				if number == "" {
					how = how[len(how)-1:]
				}
				into[key] = how
			}
			continue
		}
		if tag[0] == "" || tag[0] == "-" {
			continue
		}
		how := "z"
		options := strings.Join(tag[1:], ",")
		switch {
		case field.Type.Kind() == reflect.Pointer && strings.Contains(options, "omitempty"):
			how = "p"
		case field.Type.Kind() == reflect.Struct && !strings.Contains(options, "omitzero") && inner.Name() != "Quantity":
			how = "z"
		case strings.Contains(options, "omitempty") || strings.Contains(options, "omitzero"):
			how = "o"
		}
		into[tag[0]] = prefix + number + how
		if inner.Kind() == reflect.Struct {
			found(inner)
		}
	}
}

func main() {
	documents, err := filepath.Glob(filepath.Join(os.Args[1], "*_openapi.json"))
	check(err)
	schemas := map[string]map[string]any{}
	for _, path := range documents {
		text, err := os.ReadFile(path)
		check(err)
		var document struct {
			Components struct {
				Schemas map[string]map[string]any `json:"schemas"`
			} `json:"components"`
		}
		check(json.Unmarshal(text, &document))
		for name, schema := range document.Components.Schemas {
			// Kinds that are in every group, such as DeleteOptions, list the groups; they are served per group.
			schemas[name] = schema
		}
	}
	types := map[string]reflect.Type{}
	var found func(t reflect.Type)
	found = func(t reflect.Type) {
		if _, known := types[name(t)]; known || t.PkgPath() == "" {
			return
		}
		types[name(t)] = t
		if !opaque[t.Name()] {
			fields(t, "", map[string]string{}, found)
		}
	}
	for _, root := range roots {
		found(reflect.TypeOf(root))
	}
	names := []string{}
	for n := range types {
		if _, ok := schemas[n]; ok {
			names = append(names, n)
		}
	}
	sort.Strings(names)
	out := bufio.NewWriter(os.Stdout)
	encoder := json.NewEncoder(out)
	encoder.SetEscapeHTML(false)
	for _, n := range names {
		line := definition{Name: n, Schema: schemas[n]}
		if !opaque[types[n].Name()] {
			line.Fields = map[string]string{}
			fields(types[n], "", line.Fields, func(reflect.Type) {})
		}
		check(encoder.Encode(line))
	}
	check(out.Flush())
}

func check(err error) {
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}
