"""Verifies OAuth 1 signatures with oauthlib: 200 for the right ones, else 401."""
import sys
from http.server import BaseHTTPRequestHandler, HTTPServer

from oauthlib.oauth1 import RequestValidator, ResourceEndpoint

CONSUMER, TOKEN = sys.argv[1], sys.argv[2]


class Validator(RequestValidator):
    enforce_ssl = False
    client_key_length = access_token_length = timestamp_nonce_length = (1, 200)
    nonce_length = (1, 200)
    allowed_signature_methods = ("HMAC-SHA1", "HMAC-SHA256", "PLAINTEXT")
    dummy_client = dummy_access_token = "dummy"
    seen = set()

    def check_client_key(self, key):
        return bool(key)

    check_access_token = check_nonce = check_client_key

    def validate_timestamp_and_nonce(self, key, timestamp, nonce, request, request_token=None, access_token=None):
        fresh = (timestamp, nonce) not in self.seen
        self.seen.add((timestamp, nonce))
        return fresh

    def validate_client_key(self, key, request):
        return key == "app"

    def validate_access_token(self, key, token, request):
        return token == "tok"

    def validate_realms(self, *args, **kwargs):
        return True

    def get_client_secret(self, key, request):
        return CONSUMER

    def get_access_token_secret(self, key, token, request):
        return TOKEN


class Handler(BaseHTTPRequestHandler):
    def do_GET(self):
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0)).decode()
        uri = "http://" + self.headers["Host"] + self.path
        valid, _ = ResourceEndpoint(Validator()).validate_protected_resource_request(
            uri, http_method=self.command, body=body, headers=dict(self.headers), realms=[])
        self.send_response(200 if valid else 401)
        self.end_headers()

    do_POST = do_GET

    def log_message(self, *args):
        pass


server = HTTPServer(("127.0.0.1", 0), Handler)
print(server.server_port, flush=True)
server.serve_forever()
