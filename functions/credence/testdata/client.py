"""Drives the released Python client of the published API (nexla-sdk) through the
life of a credential of an S3 store, as its users do. Arguments: the address of the
service and of the store. The service key and the keys of the store come from the
environment. Every step that is not as the client expects ends with an AssertionError.
"""

import os
import sys
import time

from pydantic import TypeAdapter

from nexla_sdk import NexlaClient
from nexla_sdk.exceptions import AuthenticationError, NexlaError, NotFoundError
from nexla_sdk.models.access import AccessorResponseList, TeamAccessorRequest, UserAccessorRequest
from nexla_sdk.models.credentials.requests import (
    CredentialCreate,
    CredentialUpdate,
    ProbeSampleRequest,
    ProbeTreeRequest,
)
from nexla_sdk.models.credentials.responses import Credential
from nexla_sdk.models.destinations.requests import DestinationCreate, DestinationUpdate
from nexla_sdk.models.destinations.responses import Destination
from nexla_sdk.models.organizations.responses import Organization, OrgMember
from nexla_sdk.models.sources.requests import SourceCreate, SourceUpdate
from nexla_sdk.models.sources.responses import Source
from nexla_sdk.models.teams.requests import TeamCreate, TeamMemberList, TeamMemberRequest, TeamUpdate
from nexla_sdk.models.teams.responses import Team, TeamMember
from nexla_sdk.models.users.requests import UserCreate, UserUpdate
from nexla_sdk.models.users.responses import User, UserExpanded

api, store = sys.argv[1:]
client = NexlaClient(service_key=os.environ["CREDENCE_KEY"], base_url=api)
credentials = client.credentials
secret = {
    "access_key_id": os.environ["STORE_KEY"],
    "secret_key": os.environ["STORE_SECRET"],
    "region": "us-east-1",
    "endpoint": store,
}


def create(name, **more):
    return credentials.create(
        CredentialCreate(name=name, credentials_type="s3", credentials={**secret, **more})
    )


def raises(kind, do):
    try:
        do()
    except kind as e:
        return e
    raise AssertionError(f"no {kind.__name__}")


def signing_in():
    for wrong in ("invalid-key-12345", "two words", "dXNlcjpwYXNzd29yZA==", os.environ["CREDENCE_KEY"][:-1] + "x"):
        stranger = NexlaClient(service_key=wrong, base_url=api)
        raises(AuthenticationError, stranger.credentials.list)
    before = client.get_access_token()
    client.refresh_access_token()
    assert client.get_access_token() != before


def life():
    made = create("a bucket", bucket="orders")
    assert isinstance(made, Credential) and made.id > 0 and made.credentials_version == "1"
    assert made.access_roles == ["owner"] and made.owner.email and made.org.name and made.connector.type == "s3"
    assert made.credentials_non_secure_data["bucket"] == "orders" and "secret_key" not in str(made)
    assert made.verified_status is None and made.verified_at is None and made.tags == [] and made.managed is False
    assert credentials.get(made.id).name == "a bucket" and credentials.get(made.id, expand=True).id == made.id
    changed = credentials.update(made.id, CredentialUpdate(name="renamed", description="for tests"))
    assert (changed.name, changed.description, changed.id) == ("renamed", "for tests", made.id)
    assert any(c.id == made.id for c in credentials.list())
    copy = credentials.copy(made.id)
    assert copy.copied_from_id == made.id and copy.name == "renamed" and copy.id != made.id
    events = [e["event"] for e in credentials.get_audit_log(made.id)]
    assert events == ["copy", "update", "create"], events
    assert len(credentials.get_audit_log(made.id, event_filter="update", page=1, per_page=5)) == 1
    for c in (copy, made):
        assert credentials.delete(c.id)["code"] == "200"
        raises(NotFoundError, lambda: credentials.get(c.id))
    raises(NotFoundError, lambda: credentials.get(999999999))


def lists():
    made = [create(f"list {n}", bucket="orders") for n in range(5)]
    other = credentials.create(
        {"name": "list rest", "credentials_type": "rest", "credentials": {"api_key": "k", "endpoint": api + "/health"}}
    )
    ids = {c.id for c in made}
    assert {c.id for c in credentials.list(credentials_type="s3", name="list ")} == ids
    assert [c.id for c in credentials.list(credentials_type="rest")] == [other.id]
    assert len(credentials.list(page=2, per_page=2, credentials_type="s3", name="list ")) == 2
    assert {c.id for c in credentials.paginate(per_page=2, name="list ")} == ids | {other.id}
    assert {c.id for c in credentials.list(access_role="collaborator", name="list ")} == ids | {other.id}
    e = raises(NexlaError, lambda: credentials.list(credential_type="s3"))
    assert "credentials_type" in str(e), e
    for c in [*made, other]:
        credentials.delete(c.id)


def probes():
    # A store of files below a folder of a file system, by every way to name what is in it.
    for name, settings in (("a bucket", {"bucket": "orders"}), ("all buckets", {})):
        c = create(name, **settings)
        assert credentials.probe(c.id)["status"] == "ok"
        assert credentials.get(c.id).verified_status == "200 Ok" and credentials.get(c.id).verified_at
        root = credentials.probe_tree(c.id, ProbeTreeRequest(depth=3, path="/"))
        assert (root.status, root.connection_type) == ("ok", "s3")
        inside = root.object if settings else root.object["orders"]["value"]
        assert inside["2031"]["type"] == "folder" and inside["2031"]["value"]["may"]["type"] == "folder", root.object
        for path in ("/orders/2031/", "orders/2031/may", "/orders/2031/may/a.csv"):
            sample = credentials.probe_sample(c.id, ProbeSampleRequest(path=path))
            assert sample.output["response"] == "id,n\n1,x\n" and sample.output["contentType"] == "text/csv", sample
        credentials.delete(c.id)
    wrong = create("wrong", bucket="orders", secret_key="not the secret")
    raises(NexlaError, lambda: credentials.probe(wrong.id))
    assert credentials.get(wrong.id).verified_status.startswith("403 ")
    credentials.delete(wrong.id)


def faults():
    e = raises(NexlaError, lambda: create("", bucket="orders"))
    assert e.status_code == 400, e
    raises(NexlaError, lambda: credentials.create({"name": "x", "credentials_type": "invalid_type_12345", "credentials": {"a": "b"}}))


def people():
    users, orgs = client.users, client.organizations
    me = users.get_current()["user"]["id"]
    made = users.create(UserCreate(full_name="Ada Lovelace", email="ada@example.com", admin=False))
    assert isinstance(made, User) and made.email == "ada@example.com" and made.status == "ACTIVE", made
    e = raises(NexlaError, lambda: users.create(UserCreate(full_name="Another", email="ADA@example.com")))
    assert e.status_code == 400, e
    assert users.get(made.id).full_name == "Ada Lovelace" and isinstance(users.get(made.id, expand=True), UserExpanded)
    assert {u.id for u in users.list()} >= {me, made.id} and {u.id for u in users.list(expand=True)} >= {me, made.id}
    assert len(users.list(page=1, per_page=1)) == 1 and {u.id for u in users.paginate(per_page=1)} >= {me, made.id}
    assert users.update(made.id, UserUpdate(name="Ada King")).full_name == "Ada King"
    assert users.update(made.id, UserUpdate(email="king@example.com")).email == "king@example.com"
    assert users.update(made.id, UserUpdate(status="DEACTIVATED")).status == "DEACTIVATED"
    assert users.update(made.id, UserUpdate(status="ACTIVE")).status == "ACTIVE"
    raises(NotFoundError, lambda: users.get(999999999))
    org = orgs.list()[0]
    assert isinstance(org, Organization) and org.access_roles == ["admin"] and orgs.get(org.id).name == org.name
    assert {m.id for m in orgs.get_members(org.id)} >= {me, made.id}
    member = next(m for m in orgs.get_members(org.id) if m.id == made.id)
    assert isinstance(member, OrgMember) and not member.is_admin and member.access_role == ["member"], member
    assert "user_created" in [e.event for e in orgs.get_audit_log(org.id)]
    raises(NotFoundError, lambda: orgs.get(999999999))


def teams():
    teams = client.teams
    me = client.users.get_current()["user"]["id"]
    ada = client.users.create(UserCreate(full_name="Ada Lovelace", email="team@example.com")).id
    made = teams.create(TeamCreate(name="Data Ops", members=[TeamMemberRequest(email="team@example.com", admin=True)]))
    assert isinstance(made, Team) and made.owner.id == me and made.access_roles == ["owner"] and made.member is False, made
    assert [(m.id, m.email, m.admin) for m in made.members] == [(ada, "team@example.com", True)]
    assert made.description == "" and made.tags == [] and made.org.name and made.created_at and made.updated_at
    assert teams.get(made.id).name == "Data Ops" and teams.get(made.id, expand=True).id == made.id
    assert made.id in [t.id for t in teams.list()] and made.id in [t.id for t in teams.list(access_role="owner", page=1, per_page=5)]
    changed = teams.update(made.id, TeamUpdate(name="Data Platform", description="for tests"))
    assert (changed.name, changed.description, len(changed.members)) == ("Data Platform", "for tests", 1)
    assert teams.update(made.id, TeamUpdate(members=[TeamMemberRequest(id=ada)])).members[0].admin is False
    both = TeamMemberList(members=[TeamMemberRequest(id=me), TeamMemberRequest(id=ada, admin=True)])
    one = TeamMemberList(members=[TeamMemberRequest(id=ada)])
    assert {(m.id, m.admin) for m in teams.add_members(made.id, both)} == {(me, False), (ada, True)}
    assert all(isinstance(m, TeamMember) for m in teams.get_members(made.id)) and teams.get(made.id).member is True
    assert [m.id for m in teams.remove_members(made.id, one)] == [me]
    assert [m.id for m in teams.replace_members(made.id, one)] == [ada]
    assert teams.remove_members(made.id) == [] and teams.get_members(made.id) == []
    e = raises(NexlaError, lambda: teams.create(TeamCreate(name="data platform")))
    assert e.status_code == 400, e
    assert teams.delete(made.id)["code"] == "200"
    raises(NotFoundError, lambda: teams.get(made.id))


def accessors():
    made, team = create("shared", bucket="orders"), client.teams.create(TeamCreate(name="Readers"))
    client.users.create(UserCreate(full_name="Reader", email="reader@example.com"))
    assert credentials.get_accessors(made.id) == []
    grants = [
        UserAccessorRequest(email="reader@example.com", access_roles=["operator"]),
        TeamAccessorRequest(name="Readers", access_roles=["collaborator"]),
    ]

    def sent(do):
        # The client fails on every answer that has an accessor: it calls a method of a
        # type alias. Its models are right, so they read the answer here.
        raises(AttributeError, do)
        rows = TypeAdapter(AccessorResponseList).validate_python(client.request("GET", f"/data_credentials/{made.id}/accessors"))
        return {(r.type, getattr(r, "email", None) or r.name, *r.access_roles) for r in rows}

    one, two = ("USER", "reader@example.com", "operator"), ("TEAM", "Readers", "collaborator")
    assert sent(lambda: credentials.add_accessors(made.id, grants)) == {one, two}
    assert sent(lambda: credentials.delete_accessors(made.id, grants[:1])) == {two}
    e = raises(NexlaError, lambda: client.teams.delete(team.id))
    assert e.status_code == 405, e
    assert sent(lambda: credentials.replace_accessors(made.id, grants[:1])) == {one}
    assert credentials.delete_accessors(made.id) == []
    assert client.teams.delete(team.id)["code"] == "200" and credentials.delete(made.id)["code"] == "200"


def sources_and_sinks():
    made = create("used", bucket="orders")
    for resource, model, create_model, update_model, kind in (
        (client.sources, Source, SourceCreate, SourceUpdate, "source"),
        (client.destinations, Destination, DestinationCreate, DestinationUpdate, "sink"),
    ):
        more = {} if kind == "source" else {"data_set_id": 7}
        one = resource.create(create_model(name="orders", data_credentials_id=made.id, **{f"{kind}_type": "s3", f"{kind}_config": {"path": "in/"}}, **more))
        assert isinstance(one, model) and one.status == "INIT" and one.data_credentials.id == made.id and one.data_credentials_id == made.id, one
        assert getattr(one, f"{kind}_config") == {"path": "in/"} and one.access_roles == ["owner"] and one.owner.email and one.org.id
        assert kind == "source" or one.data_set_id == 7
        assert resource.get(one.id).name == "orders" and resource.get(one.id, expand=True).id == one.id
        assert one.id in [r.id for r in resource.list()] and one.id in [r.id for r in resource.paginate(per_page=1)]
        assert resource.update(one.id, update_model(name="renamed")).name == "renamed"
        assert resource.activate(one.id).status == "ACTIVE" and resource.pause(one.id).status == "PAUSED"
        twin = resource.copy(one.id)
        assert twin.copied_from_id == one.id and twin.status == "INIT" and twin.data_credentials_id == made.id
        e = raises(NexlaError, lambda: credentials.delete(made.id))
        assert e.status_code == 405, e
        assert [e["event"] for e in resource.get_audit_log(one.id)] == ["update", "update", "update", "create"]
        e = raises(NexlaError, lambda: resource.create(create_model(name="x", data_credentials_id=made.id, **{f"{kind}_type": "postgres"}, **more)))
        assert e.status_code == 400, e
        for r in (twin, one):
            assert resource.delete(r.id)["code"] == "200"
            raises(NotFoundError, lambda: resource.get(r.id))
    assert credentials.delete(made.id)["code"] == "200"


if __name__ == "__main__":
    for step in (signing_in, life, lists, probes, faults, people, teams, accessors, sources_and_sinks):
        began = time.monotonic()
        step()
        print(f"{step.__name__}: passed, {time.monotonic() - began:.1f} s")
    client.logout()
