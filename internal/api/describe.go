package api

import (
	"reflect"
	"strings"
	"time"
)

// object is a JSON object of the API's document.
type object = map[string]any

// describe is the API as an OpenAPI document. It is made from the routes and the Go types that
// serve them, so that it cannot tell of others.
func (s *Server) describe() object {
	d := describer{schemas: object{}}
	paths := map[string]object{}
	for _, r := range s.routes() {
		at := base + r.path
		if paths[at] == nil {
			paths[at] = object{}
		}
		paths[at][strings.ToLower(r.method)] = d.operation(r)
	}
	return object{
		"openapi": "3.1.0",
		"info": object{
			"title": "shoal", "version": "1",
			"description": "The local API of a shoal node: on the Unix socket api.sock in its home, and, once shoal ui was asked for, on a port of 127.0.0.1 for a browser with a session. Documents that have a schema field grow, and never change otherwise.",
		},
		"paths":      paths,
		"components": object{"schemas": d.schemas},
	}
}

type describer struct{ schemas object }

func (d *describer) operation(r route) object {
	op := object{"summary": r.does, "operationId": operationID(r)}
	if r.local {
		op["description"] = "On the socket only."
	}
	var parameters []object
	for part := range strings.SplitSeq(r.path, "/") {
		if name, ok := strings.CutPrefix(part, "{"); ok {
			parameters = append(parameters, object{"name": strings.TrimSuffix(name, "}"), "in": "path", "required": true, "schema": object{"type": "string"}, "description": "a full id, or the beginning of one that is known here"})
		}
	}
	for _, p := range r.query {
		kind := object{"type": "string"}
		if p.number {
			kind = object{"type": "integer", "minimum": 1}
		}
		parameters = append(parameters, object{"name": p.name, "in": "query", "schema": kind, "description": p.does})
	}
	if parameters != nil {
		op["parameters"] = parameters
	}
	if r.takes != nil {
		op["requestBody"] = object{"content": object{"application/json": object{"schema": d.schema(reflect.TypeOf(r.takes))}}}
	}
	answers := object{"default": object{"description": "it failed", "content": object{"application/json": object{"schema": d.schema(reflect.TypeFor[document]())}}}}
	switch {
	case r.gives != nil:
		answers["200"] = object{"description": "as asked", "content": object{"application/json": object{"schema": d.schema(reflect.TypeOf(r.gives))}}}
	case r.stream != "":
		answers["200"] = object{"description": "a stream", "content": object{r.stream: object{"schema": object{"type": "string"}}}}
	default:
		answers["204"] = object{"description": "done"}
	}
	op["responses"] = answers
	return op
}

// operationID is a route's name for programs that write programs: getJobsJobWatch.
func operationID(r route) string {
	var name strings.Builder
	name.WriteString(strings.ToLower(r.method))
	for word := range strings.FieldsFuncSeq(r.path, func(c rune) bool { return strings.ContainsRune("/{}.", c) }) {
		name.WriteString(strings.ToUpper(word[:1]) + word[1:])
	}
	return name.String()
}

// schema says how values of a type are written.
func (d *describer) schema(t reflect.Type) object {
	switch t {
	case reflect.TypeFor[time.Time]():
		return object{"type": "string", "format": "date-time"}
	case reflect.TypeFor[time.Duration]():
		return object{"type": "integer", "description": "nanoseconds"}
	}
	switch t.Kind() {
	case reflect.Pointer:
		return object{"anyOf": []object{d.schema(t.Elem()), {"type": "null"}}}
	case reflect.Slice:
		return object{"type": "array", "items": d.schema(t.Elem())}
	case reflect.Array:
		return object{"type": "array", "items": d.schema(t.Elem()), "minItems": t.Len(), "maxItems": t.Len()}
	case reflect.Struct:
		return d.structure(t)
	case reflect.String:
		return object{"type": "string"}
	case reflect.Bool:
		return object{"type": "boolean"}
	case reflect.Float64:
		return object{"type": "number"}
	case reflect.Map:
		return object{"type": "object"}
	case reflect.Uint, reflect.Uint8, reflect.Uint16, reflect.Uint32, reflect.Uint64:
		return object{"type": "integer", "minimum": 0}
	}
	return object{"type": "integer"}
}

// structure gives a reference to the schema of a struct, which is written once.
func (d *describer) structure(t reflect.Type) object {
	name := strings.ToUpper(t.Name()[:1]) + t.Name()[1:]
	ref := object{"$ref": "#/components/schemas/" + name}
	if _, done := d.schemas[name]; done {
		return ref
	}
	s := object{"type": "object"}
	d.schemas[name] = s // before its fields: one of them may lead back
	fields, required := object{}, []string{}
	for f := range t.Fields() {
		tag, options, _ := strings.Cut(f.Tag.Get("json"), ",")
		if tag == "" || tag == "-" {
			continue
		}
		fields[tag] = d.schema(f.Type)
		if options != "omitempty" {
			required = append(required, tag)
		}
	}
	s["properties"] = fields
	if len(required) > 0 {
		s["required"] = required
	}
	return ref
}
