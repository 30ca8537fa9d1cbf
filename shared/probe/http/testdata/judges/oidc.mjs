// An OAuth 2 server with clients that authenticate in each way, and an API that
// accepts its tokens.
import { createServer } from 'node:http';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const [folder, secret, jwk] = process.argv.slice(2);
const { default: Provider } = await import(pathToFileURL(createRequire(folder + '/').resolve('oidc-provider')));
const client = (id, method, more) => ({
  client_id: id, grant_types: ['client_credentials'], redirect_uris: [], response_types: [], token_endpoint_auth_method: method, ...more,
});
const server = createServer();
server.listen(0, '127.0.0.1', () => {
  const issuer = `http://127.0.0.1:${server.address().port}`;
  const provider = new Provider(issuer, {
    features: { clientCredentials: { enabled: true }, devInteractions: { enabled: false }, introspection: { enabled: true } },
    clients: [
      client('form', 'client_secret_post', { client_secret: secret }),
      client('basic', 'client_secret_basic', { client_secret: secret }),
      client('signs', 'private_key_jwt', { jwks: { keys: [JSON.parse(jwk)] } }),
    ],
  });
  const token = provider.callback();
  server.on('request', async (request, response) => {
    if (request.url !== '/api') {
      token(request, response);
      return;
    }
    const [scheme, value] = (request.headers.authorization || '').split(' ');
    const found = scheme === 'Bearer' && await provider.ClientCredentials.find(value);
    response.writeHead(found ? 200 : 401, { 'WWW-Authenticate': 'Bearer error="invalid_token"' }).end();
  });
  console.log(server.address().port);
});
