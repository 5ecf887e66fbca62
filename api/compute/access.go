package compute

import (
	"context"
	"fmt"
	"slices"
	"strconv"

	"github.com/yandex-cloud/go-genproto/yandex/cloud/access"
	opb "github.com/yandex-cloud/go-genproto/yandex/cloud/operation"
	"google.golang.org/protobuf/proto"

	"github.com/blockmill/blockmill/api/auth"
	"github.com/blockmill/blockmill/api/filter"
	"github.com/blockmill/blockmill/api/operation"
	"github.com/blockmill/blockmill/api/rules"
	"github.com/blockmill/blockmill/pool"
)

// maxBindings is how many bindings a thing may have.
const maxBindings = 1000

// listBindings gives a page of a thing's bindings.
func listBindings[T any](ctx context.Context, k *kind[T], req *access.ListAccessBindingsRequest) (*access.ListAccessBindingsResponse, error) {
	if err := rules.Check(req); err != nil {
		return nil, err
	}
	v, err := k.find(ctx, req.GetResourceId(), auth.Viewer)
	if err != nil {
		return nil, err
	}
	scope := filter.ScopeOf(k.name, req.GetResourceId())
	from := 0
	c, err := filter.ParseCursor(req.GetPageToken(), scope)
	if err == nil && c != nil {
		from, err = strconv.Atoi(c.Key)
	}
	all := k.thing(&v).bindings
	if err != nil || from < 0 {
		return nil, rules.Violation("page_token", "%v", filter.ErrToken)
	}
	size := int(req.GetPageSize())
	if size == 0 {
		size = defaultPage
	}
	from = min(from, len(all))
	to := min(from+size, len(all))
	answer := &access.ListAccessBindingsResponse{}
	for _, b := range all[from:to] {
		answer.AccessBindings = append(answer.AccessBindings, bindingMessage(b))
	}
	if to < len(all) {
		answer.NextPageToken = filter.Cursor{Key: strconv.Itoa(to)}.Token(scope)
	}
	return answer, nil
}

// setBindings submits the replacement of a thing's bindings.
func setBindings[T any](ctx context.Context, c *core, k *kind[T], req *access.SetAccessBindingsRequest) (*opb.Operation, error) {
	var wrong rules.Violations
	for i, b := range req.GetAccessBindings() {
		noteUnknown(&wrong, auth.Kind(k.name), fmt.Sprintf("access_bindings[%d]", i), b)
	}
	return c.submit(ctx, mutation{
		kind: k.name + ".set-access", description: "Set access bindings", folder: k.folderOf(req.GetResourceId()),
		request: req, inline: true, wrong: []error{wrong.Err()},
		admit: admitBindings(ctx, k, req.GetResourceId(), &access.SetAccessBindingsMetadata{ResourceId: req.GetResourceId()}, nil),
	})
}

// updateBindings submits changes of a thing's bindings.
func updateBindings[T any](ctx context.Context, c *core, k *kind[T], req *access.UpdateAccessBindingsRequest) (*opb.Operation, error) {
	var wrong rules.Violations
	for i, d := range req.GetAccessBindingDeltas() {
		if d.GetAction() == access.AccessBindingAction_ADD { // what is there already may go
			noteUnknown(&wrong, auth.Kind(k.name), fmt.Sprintf("access_binding_deltas[%d].access_binding", i), d.GetAccessBinding())
		}
	}
	return c.submit(ctx, mutation{
		kind: k.name + ".update-access", description: "Update access bindings", folder: k.folderOf(req.GetResourceId()),
		request: req, inline: true, wrong: []error{wrong.Err()},
		admit: admitBindings(ctx, k, req.GetResourceId(), &access.UpdateAccessBindingsMetadata{ResourceId: req.GetResourceId()}, req.GetAccessBindingDeltas()),
	})
}

func admitBindings[T any](ctx context.Context, k *kind[T], id string, metadata proto.Message, deltas []*access.AccessBindingDelta) admission {
	return func(operation.Ticket) (operation.Reservation, error) {
		v, err := k.find(ctx, id, auth.Admin)
		if err == nil {
			err = k.check(id, pool.Edit{})
		}
		if err == nil && len(applyDeltas(k.thing(&v).bindings, deltas)) > maxBindings {
			err = rules.Violation("access_binding_deltas", "The resource would have more than %d access bindings", maxBindings)
		}
		return operation.Reservation{ResourceID: id, Metadata: metadata}, err
	}
}

// accessHandlers are those of the bindings of a kind of things.
func accessHandlers[T any](k *kind[T], handlers map[string]operation.Handler) {
	handlers[k.name+".set-access"] = operation.HandlerFunc(func(ctx context.Context, op *operation.Running) (proto.Message, error) {
		req := new(access.SetAccessBindingsRequest)
		if err := op.Request(req); err != nil {
			return nil, err
		}
		return rebind(ctx, k, req.GetResourceId(), func([]pool.Binding) []pool.Binding {
			return bindingsOf(req.GetAccessBindings())
		})
	})
	handlers[k.name+".update-access"] = operation.HandlerFunc(func(ctx context.Context, op *operation.Running) (proto.Message, error) {
		req := new(access.UpdateAccessBindingsRequest)
		if err := op.Request(req); err != nil {
			return nil, err
		}
		return rebind(ctx, k, req.GetResourceId(), func(old []pool.Binding) []pool.Binding {
			return applyDeltas(old, req.GetAccessBindingDeltas())
		})
	})
}

// rebind gives a thing new bindings and tells what changed.
func rebind[T any](ctx context.Context, k *kind[T], id string, change func([]pool.Binding) []pool.Binding) (proto.Message, error) {
	answer := &access.AccessBindingsOperationResult{}
	_, err := k.edit(ctx, id, pool.Edit{Bindings: func(old []pool.Binding) []pool.Binding {
		now := change(old)
		answer.EffectiveDeltas = difference(old, now)
		return now
	}})
	if err != nil {
		return nil, err
	}
	return answer, nil
}

// difference tells what was removed and what was added.
func difference(old, now []pool.Binding) []*access.AccessBindingDelta {
	var deltas []*access.AccessBindingDelta
	only := func(action access.AccessBindingAction, in, notIn []pool.Binding) {
		for _, b := range in {
			if !slices.Contains(notIn, b) {
				deltas = append(deltas, &access.AccessBindingDelta{Action: action, AccessBinding: bindingMessage(b)})
			}
		}
	}
	only(access.AccessBindingAction_REMOVE, old, now)
	only(access.AccessBindingAction_ADD, now, old)
	return deltas
}

// applyDeltas makes the bindings that changes lead to.
func applyDeltas(old []pool.Binding, deltas []*access.AccessBindingDelta) []pool.Binding {
	now := slices.Clone(old)
	for _, d := range deltas {
		b := bindingOf(d.GetAccessBinding())
		at := slices.Index(now, b)
		switch {
		case d.GetAction() == access.AccessBindingAction_ADD && at < 0:
			now = append(now, b)
		case d.GetAction() == access.AccessBindingAction_REMOVE && at >= 0:
			now = slices.Delete(now, at, at+1)
		}
	}
	return now
}

// noteUnknown adds the parts of a binding that would give nobody a role; empty ones
// break the rules of the message.
func noteUnknown(wrong *rules.Violations, on auth.Kind, path string, m *access.AccessBinding) {
	role, kind, id := auth.Unknown(on, bindingOf(m))
	if role && m.GetRoleId() != "" {
		wrong.Add(path+".role_id", "This node has the roles viewer, user, editor and admin, also those of compute or, here, of compute.%ss alone, as in compute.%ss.user", on, on)
	}
	if kind && m.GetSubject().GetType() != "" {
		wrong.Add(path+".subject.type", "Value must be one of %s, %s, %s, %s", auth.UserAccount, auth.ServiceAccount, auth.FederatedUser, auth.System)
	}
	if id && m.GetSubject().GetId() != "" {
		wrong.Add(path+".subject.id", "Value must be one of %s, %s for a subject of type %s", auth.AllUsers, auth.AllAuthenticatedUsers, auth.System)
	}
}

func bindingOf(m *access.AccessBinding) pool.Binding {
	return pool.Binding{Role: m.GetRoleId(), SubjectType: m.GetSubject().GetType(), SubjectID: m.GetSubject().GetId()}
}

// bindingsOf leaves out what comes again.
func bindingsOf(list []*access.AccessBinding) []pool.Binding {
	var all []pool.Binding
	for _, m := range list {
		if b := bindingOf(m); !slices.Contains(all, b) {
			all = append(all, b)
		}
	}
	return all
}

func bindingMessage(b pool.Binding) *access.AccessBinding {
	return &access.AccessBinding{RoleId: b.Role, Subject: &access.Subject{Id: b.SubjectID, Type: b.SubjectType}}
}
