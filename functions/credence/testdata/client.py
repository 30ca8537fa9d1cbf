"""Drives the released Python client of the published API (nexla-sdk) through the
life of a credential of an S3 store, as its users do. Arguments: the address of the
service and of the store. The service key and the keys of the store come from the
environment. Every step that is not as the client expects ends with an AssertionError.
"""

import os
import sys
import time

from nexla_sdk import NexlaClient
from nexla_sdk.exceptions import AuthenticationError, NexlaError, NotFoundError
from nexla_sdk.models.credentials.requests import (
    CredentialCreate,
    CredentialUpdate,
    ProbeSampleRequest,
    ProbeTreeRequest,
)
from nexla_sdk.models.credentials.responses import Credential

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
    raises(NotFoundError, lambda: credentials.get_accessors(made.id))  # not served yet
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


if __name__ == "__main__":
    for step in (signing_in, life, lists, probes, faults):
        began = time.monotonic()
        step()
        print(f"{step.__name__}: passed, {time.monotonic() - began:.1f} s")
    client.logout()
