"""Roots and their children at a flush: stored as one whole, with one version."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from sqlalchemy import inspect as state_of
from sqlalchemy.orm import Session
from sqlalchemy.orm.attributes import flag_modified

from domain.errors import ValidationError
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
    for root in roots.values():
        name = rules_of(type(root)).version
        if name is not None:  # the key is written by no UPDATE, so that this is the version alone
            flag_modified(root, rules_of(type(root)).keys[0])
    return list(roots.values())


def _has_family(entity: Any) -> bool:
    rules = rules_of(type(entity))
    return bool(rules.children) or rules.owner is not None


def _settle_lists(root: Any) -> bool:
    """Number the children; whether the members of a list or their order changed."""
    changed = has_other_members(root)
    for info, children in lists_of(root):
        if len({id(child) for child in children}) != len(children):
            raise _refused(info, f"holds the same {entity_name(info.model)} twice")
        if info.is_in_order(children):
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


def _refused(info: ChildrenInfo, message: str) -> ValidationError:
    return ValidationError(entity_name(info.root), {info.name: message})


def _roots_of(session: Session, child: Any) -> Iterator[Any]:
    """The root of a stored child, the root of that one, and so on."""
    info = rules_of(type(child)).owner
    while info is not None and state_of(child).has_identity:
        at = {root: getattr(child, name) for name, root in info.links.items()}
        with session.no_autoflush:
            child = session.get(info.root, tuple(at[key] for key in rules_of(info.root).keys))
        if child is None or child in session.deleted:
            return
        yield child
        info = rules_of(type(child)).owner


def orphans(roots: Iterable[Any]) -> list[Any]:
    """The stored children of changed roots that a flush will delete: they left their list."""
    gone = []
    for root in roots:
        for info, _ in lists_of(root):
            attribute = getattr(info.root, info.name).impl
            for child in state_of(root).attrs[info.name].history.deleted:
                if state_of(child).has_identity and not attribute.hasparent(state_of(child)):
                    gone += [child, *members_of(child)]
    return gone


def with_members(roots: Iterable[Any]) -> list[Any]:
    """These, and all their children that are loaded."""
    return [entity for root in roots for entity in (root, *members_of(root))]
