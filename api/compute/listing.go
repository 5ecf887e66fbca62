package compute

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/filter"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/api/status"
	"github.com/blockmill/blockmill/pool"
)

// listRequest is what the list requests of all kinds have, beside a folder.
type listRequest interface {
	pageRequest
	GetFilter() string
	GetOrderBy() string
}

// defaultPage is how many things a page has by default.
const defaultPage = 100

// page gives a page of the things in a folder and the token of the next one.
func (k *kind[T]) page(ctx context.Context, folder string, req listRequest) (page []T, next string, err error) {
	q, err := k.query(ctx, folder, req)
	if err != nil {
		return nil, "", status.Err(err)
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	var v T // one for all: a filter looks at it where it is
	value := func(field string) string { return k.value(&v, field) }
	for v = range k.list(q.Query) {
		if err := ctx.Err(); err != nil {
			return nil, "", status.Err(err)
		}
		if !q.filter.Match(value) {
			continue
		}
		if len(page) == size {
			return page, q.token(k.thing(&page[size-1])), nil
		}
		page = append(page, v)
	}
	return page, "", nil
}

// query is what a list request asks for.
type query struct {
	pool.Query
	filter filter.Filter
	scope  filter.Scope
}

func (k *kind[T]) query(ctx context.Context, folder string, req listRequest) (query, error) {
	var wrong rules.Violations
	f, err := filter.Parse(req.GetFilter(), k.filterable)
	note(&wrong, "filter", err)
	order, err := filter.ParseOrder(req.GetOrderBy(), orderable)
	note(&wrong, "order_by", err)
	q := query{filter: f, scope: filter.ScopeOf(k.name, folder, req.GetFilter(), req.GetOrderBy())}
	q.Folder, q.Order, q.Descending = pool.FolderID(folder), orders[order.Field], order.Descending
	q.Name, _ = f.Exactly("name")
	q.After, err = q.position(req.GetPageToken())
	note(&wrong, "page_token", err)
	if err := rules.Check(req, wrong.Err()); err != nil {
		return query{}, err
	}
	return q, allowFolder(ctx, folder, auth.Viewer, auth.Kind(k.name))
}

// note adds an error to violations, if there is one.
func note(v *rules.Violations, field string, err error) {
	if err != nil {
		v.Add(field, "%v", err)
	}
}

// orders are the orders of lists by the names of fields.
var orders = map[string]pool.Order{"id": pool.ByID, "name": pool.ByName, "created_at": pool.ByCreation}

func orderable(field string) (string, bool) {
	field = snake(field)
	_, ok := orders[field]
	return field, ok
}

// filterable gives the name of a field that lists are filtered by.
func (k *kind[T]) filterable(field string) (string, bool) {
	if strings.HasPrefix(field, labelPrefix) {
		return field, true
	}
	field = snake(field)
	_, own := k.fields[field]
	return field, own || field == "id" || field == "name" || field == "description" || field == "status"
}

const labelPrefix = "labels."

// value is what a thing has in a field.
func (k *kind[T]) value(v *T, field string) string {
	t := k.thing(v)
	if label, ok := strings.CutPrefix(field, labelPrefix); ok {
		return t.labels[label]
	}
	switch field {
	case "id":
		return t.id
	case "name":
		return t.name
	case "description":
		return t.description
	case "status":
		return t.status.String()
	}
	return k.fields[field](v)
}

// snake writes the JSON name of a field as the protos have it.
func snake(field string) string {
	var b strings.Builder
	for _, r := range field {
		if unicode.IsUpper(r) {
			b.WriteByte('_')
		}
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}

// token is that of the page after a thing.
func (q query) token(t thing) string {
	c := filter.Cursor{ID: t.id}
	switch q.Order {
	case pool.ByName:
		c.Key = t.name
	case pool.ByCreation:
		c.Key = strconv.FormatInt(t.created.UnixNano(), 36)
	}
	return c.Token(q.scope)
}

// position is where a token says that the listing goes on.
func (q query) position(token string) (*pool.Position, error) {
	c, err := filter.ParseCursor(token, q.scope)
	if err != nil || c == nil {
		return nil, err
	}
	p := &pool.Position{ID: c.ID}
	switch q.Order {
	case pool.ByName:
		p.Name = c.Key
	case pool.ByCreation:
		at, err := strconv.ParseInt(c.Key, 36, 64)
		if err != nil {
			return nil, errors.Join(filter.ErrToken, fmt.Errorf("its time: %w", err))
		}
		p.CreatedAt = time.Unix(0, at).UTC()
	}
	return p, nil
}
