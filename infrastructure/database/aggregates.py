"""Roots and their children at a flush: stored as one whole, with one version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, cast

from sqlalchemy import inspect as state_of
from sqlalchemy import select
from sqlalchemy.orm import InstanceState, Session
from sqlalchemy.orm.attributes import flag_modified, set_attribute, set_committed_value
from sqlalchemy.orm.base import LoaderCallableStatus

from domain.errors import ValidationError
from infrastructure.database.keys import Key
from infrastructure.database.models.children import ChildrenInfo
from infrastructure.database.models.rules import entity_name, rules_of


def lists_of(root: Any) -> Iterator[tuple[ChildrenInfo, list[Any]]]:
    """The lists of children that are loaded."""
    for info in rules_of(type(root)).children.values():
        children = info.of(root)
        if children is not None:
            yield info, children


def members_of(root: Any) -> Iterator[Any]:
    """All children that are loaded, and theirs."""
    for _, children in lists_of(root):
        for child in children:
            yield child
            yield from members_of(child)


def is_changed(session: Session, entity: Any) -> bool:
    """Whether a flush would write something of this entity."""
    return session.is_modified(entity) or is_reordered(entity)


def is_reordered(root: Any) -> bool:
    """Whether a list of children has another order than the stored one."""
    return any(not info.is_in_order(children) for info, children in lists_of(root))


def has_other_members(root: Any) -> bool:
    """Whether children were added to a list, or removed."""
    return any(state_of(root).attrs[i.name].history.has_changes() for i, _ in lists_of(root))


def prepare(session: Session) -> list[Any]:
    """Make the lists storable; the stored roots whose children changed."""
    dirty = [entity for entity in session.dirty if _has_family(entity)]
    new = [entity for entity in session.new if _has_family(entity)]
    gone = [entity for entity in session.deleted if _has_family(entity)]
    if not (dirty or new or gone):
        return []
    touched = [root for root in [*new, *dirty] if _settle_lists(root)]
    changed = [entity for entity in session.dirty if session.is_modified(entity)]
    roots = {id(root): root for root in touched if root in session.dirty}
    for entity in [*gone, *changed, *touched]:
        roots |= {id(root): root for root in _roots_of(session, entity)}
    for root in roots.values():  # where a number was changed by hand, the list is right
        _settle_lists(root)
    for root in roots.values():
        rules = rules_of(type(root))
        if rules.version is not None:  # no UPDATE writes the key: this advances the version alone
            flag_modified(root, rules.keys[0])
        elif rules.timestamped:
            flag_modified(root, "updated_at")
    return list(roots.values())


def _has_family(entity: Any) -> bool:
    rules = rules_of(type(entity))
    return bool(rules.children) or rules.owner is not None


def _settle_lists(root: Any) -> bool:
    """Number the children; whether the members of a list or their order changed."""
    changed = has_other_members(root)
    for info, children in lists_of(root):
        refuse_twice(info, [(id(child),) for child in children])
        refuse_twice(info, map(info.own_key, children))
        if info.is_in_order(children):
            _store_in_order(children)
            continue
        if info.numbered is None:
            raise _refused(
                info,
                f"has an order that no column keeps; give {info.model.__name__} a position: int, "
                f'and {info.root.__name__} Children(…, order_by="position")',
            )
        info.number(children)
        changed = True
    return changed


def refuse_twice(info: ChildrenInfo, keys: Iterable[Key]) -> None:
    """A list holds each child once, and one for each key."""
    known = [key for key in keys if None not in key and key]
    if len(set(known)) != len(known):
        raise _refused(info, f"holds the same {entity_name(info.model)} twice")


def _store_in_order(children: Iterable[Any]) -> None:
    """Let new ones get their keys in the order of the list, however they came into it."""
    new = [state for child in children if not (state := state_of(child)).has_identity]
    first = min((_place(state) for state in new), default=0)
    for place, state in enumerate(new, first):
        cast(Any, state).insert_order = place


def in_order_of_lists(new: list[Any]) -> list[Any]:
    """New entities as a flush inserts them: children in the order of their lists."""
    children = any(rules_of(kind).owner is not None for kind in set(map(type, new)))
    return sorted(new, key=lambda entity: _place(state_of(entity))) if children else new


def _place(state: InstanceState[Any]) -> int:
    return int(getattr(state, "insert_order", 0))


def _refused(info: ChildrenInfo, message: str) -> ValidationError:
    return ValidationError(entity_name(info.root), {info.name: message})


def _roots_of(session: Session, child: Any) -> Iterator[Any]:
    """The root of a stored child, the root of that one, and so on."""
    info = rules_of(type(child)).owner
    while info is not None and state_of(child).has_identity:
        at = {root: _stored(child, name) for name, root in info.links.items()}
        with session.no_autoflush:
            child = _found(session, info.root, at)
        if child is None or child in session.deleted:
            return
        yield child
        info = rules_of(type(child)).owner


def _found(session: Session, model: Any, at: dict[str, Any]) -> Any:
    keys = rules_of(model).keys
    if at.keys() == set(keys):
        return session.get(model, tuple(at[key] for key in keys))
    return session.scalars(select(model).filter_by(**at)).one_or_none()


def _stored(entity: Any, name: str) -> Any:
    """A value as it was loaded, whatever it is now."""
    committed = state_of(entity).committed_state.get(name, entity.__dict__.get(name))
    return getattr(entity, name) if committed is LoaderCallableStatus.NO_VALUE else committed


def orphans(roots: Iterable[Any]) -> list[Any]:
    """The stored children of changed roots that a flush will delete: they left their list."""
    gone = []
    for root in roots:
        for info, _ in lists_of(root):
            for child in state_of(root).attrs[info.name].history.deleted:
                if state_of(child).has_identity and not info.is_linked(child):
                    gone += [child, *members_of(child)]
    return gone


def renew_lists(root: Any) -> None:
    """Let the lists of a root that is new again be those of a new one: all children are added."""
    for info, children in list(lists_of(root)):
        held = list(children)
        for child in held:
            info.link(root, child, linked=False)
            if not state_of(child).has_identity:
                for link in info.links:
                    set_committed_value(child, link, None)
        del root.__dict__[info.name]
        set_attribute(root, info.name, held)


def members_held_by(entity: Any, model: Any) -> Iterator[Any]:
    """The children in the lists of an object, plain or not, that rows of a model are made of."""
    for name, info in rules_of(model).children.items():
        for child in entity.__dict__.get(name) or ():
            yield child
            yield from members_held_by(child, info.model)


def with_members(roots: Iterable[Any]) -> list[Any]:
    """These, and all their children that are loaded."""
    return [entity for root in roots for entity in (root, *members_of(root))]
