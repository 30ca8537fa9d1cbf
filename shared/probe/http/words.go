package httpprobe

import (
	"strings"
	"unicode"

	"credence/shared/pattern"
)

// The causes that answers give in words. The text that they are searched in is
// in the form of words: see inWords. No text of an answer reaches a result.
var (
	wordsLimited  = pattern.New(`\b(rate ?limit|ratelimit|too many requests|quota|throttl|slow ?down|limit (was |is |has been )?(exceeded|reached)|(daily|user|request) ?(rate)? ?limit)`)
	wordsExpired  = pattern.New(`\b(key|token|jwt|credentials?|secret|password|certificate|session|signature)( \w+){0,4} (expired|expiration)\b|\bexpired( \w+){0,2} (key|token|jwt|credentials?|secret|password|session)\b`)
	wordsEither   = pattern.New(`\b(expired|revoked|disabled|invalid|suspended) or\b|\bor (expired|revoked|disabled|invalid|suspended)\b`)
	wordsRevoked  = pattern.New(`\b(key|token|credentials?|secret)( \w+){0,4} (revoked|deleted)\b|\brevoked( \w+){0,2} (key|token|credentials?|secret)\b`)
	wordsOff      = pattern.New(`\b(account|user|key|client|application|token|subscription)( \w+){0,3} (disabled|suspended|deactivated|inactive|not active)\b|\b(disabled|suspended|deactivated|inactive)( \w+){0,2} (account|user|key|client|application)\b`)
	wordsLocked   = pattern.New(`\b(account|user)( \w+){0,3} locked\b|\blocked (out|account|user)\b|\bcaptcha\b|\btoo many (failed|invalid|login|sign)`)
	wordsMFA      = pattern.New(`\b(mfa|2fa|otp|two ?factor|multi ?factor|second factor|one time (password|code))\b`)
	wordsSource   = pattern.New(`\b(your|client|source|this) ip\b|\bip( address)?( \w+){0,4} (not allowed|denied|blocked|restricted|not permitted|not authori[sz]ed)\b|\b(ip )?(allow ?list|white ?list)\b`)
	wordsClock    = pattern.New(`\b(request ?time ?too ?skewed|timestamp( \w+){0,3} (expired|invalid|refused|out of|too)|clock skew|signature (not yet|expired))\b`)
	wordsCert     = pattern.New(`\b(client|ssl|tls)( ssl)? certificate( \w+){0,3} (required|error|missing|not provided|was sent)|\bno required ssl certificate\b|\brequires? a client certificate\b`)
	wordsClaims   = pattern.New(`\b(audience|aud|issuer|iss|subject|sub|claims?|nbf|iat|jti|not active|not yet valid)\b`)
	wordsAudience = pattern.New(`\b(audience|aud)\b`)
	wordsNoScope  = pattern.New(`\b(missing|insufficient|required) scopes?\b|\bscopes? (does|do) not match\b`)
	wordsForged   = pattern.New(`\b(verify|verification|check)( \w+){0,4} (signature|integrity)\b`)
	wordsNoKey    = pattern.New(`\b(security token( \w+){0,5} invalid|unrecognized client|invalid client token id|invalid access key id|access key id( \w+){0,5} (not exist|not found|unknown))\b`)
	wordsWay      = pattern.New(`\b(basic|password|local|key( based)?|api ?key|token) (auth|authentication|login)( \w+){0,4} (disabled|not enabled|not permitted|not allowed|not supported|no longer supported|deprecated)\b|\bauthentication ?type ?disabled\b`)
	wordsScheme   = pattern.New(`\bsupports client authentication method\b|\btoken endpoint auth method\b|\bnot (allowed|registered|configured) (to use|for)( \w+){0,4} authentication\b`)
	wordsStopped  = pattern.New(`\bcaptcha delivery\b|\bpx captcha\b|\bincapsula (incident|resource)\b|\berror code 10(0[5-9]|1[0-5]|20)\b|\battention required cloudflare\b|\benable javascript and cookies to continue\b|\bthe requested url was rejected please consult with your administrator\b|\byou dont have permission to access .{0,300}on this server( p)? reference\b`)
	wordsOther    = pattern.New(`\b(csrf|xsrf|anti ?forgery|request verification|page|pagination|continuation|next|sync|cursor|captcha|sort|partition|primary|foreign|idempotency|cache|registration|device|push) (token|key)s?\b`)
	wordsNamed    = pattern.New(`\b(invalid|incorrect|wrong|bad|unknown|unrecogni[sz]ed|no such|not valid)( \w+){0,2} (api ?keys?|client id|access key|secret key|access token|api token|auth token|bearer token|security token|session token|subscription key|credentials?|password|secret|signature|jwt|authentication)\b|\b(api ?keys?|client id|access key|secret key|access token|api token|auth token|bearer token|security token|session token|subscription key|credentials?|password|secret|signature|jwt|authentication)( \w+){0,4} (invalid|incorrect|wrong|not valid|not recogni[sz]ed|unknown|not match|not exist|not found|failed|failure|rejected|mismatch)\b|\bunrecognized client\b`)
	wordsForeign  = pattern.New(`(passwort|kennwort|benutzername|anmeldung|mot de passe|identifiant|contraseña|usuario|senha|usuário|wachtwoord|пароль|密码|用户名|パスワード).{0,40}(falsch|ungültig|fehlgeschlagen|incorrect|incorrecte|invalide|erroné|inválid|incorret|onjuist|ongeldig|неверн|错误|不正确|違|正しくありません)|неверн.{0,40}пароль`)
	wordsScope    = pattern.New(`\b(insufficient|scopes?|permissions?|privileges?|not authori[sz]ed to|not allowed to|(not|no) have access|access( \w+){0,2} not (enabled|configured)|roles?|sso|plan|entitlement|has not been used|read only)\b`)
	wordsRejects  = pattern.New(`\b(invalid|incorrect|wrong|bad|unknown|unrecogni[sz]ed|no such|not valid)( \w+){0,2} (key|keys|apikey|token|credentials?|password|secret|signature|auth|authentication|jwt|user|login)\b|\b(key|apikey|token|credentials?|password|secret|signature|jwt|authentication|login)( \w+){0,4} (invalid|incorrect|wrong|not valid|not recogni[sz]ed|unknown|not match|not exist|not found|failed|failure|rejected|mismatch)\b|\bunrecognized client\b`)
	wordsDenied   = pattern.New(`^ ?(error|unauthori[sz]ed|unauthenticated|forbidden|access (is )?denied|denied|invalid|failed|not (authori[sz]ed|authenticated|logged in)|(login|authentication) (is )?required)\b`)
	wordsMissing  = pattern.New(`\b(missing|required|no|not provided|without|absent|supply|provide)( \w+){0,3} (key|apikey|token|credentials?|password|secret|authentication|header)\b|\b(key|token|credentials?|header)( \w+){0,3} (missing|required|not provided|absent)\b`)
)

// inWords writes text as lower-case words with single spaces, so that one
// pattern finds "Invalid API key", "invalid_api_key" and "InvalidApiKey".
func inWords(text []byte) string {
	const most = 8 << 10
	var b strings.Builder
	before := ' '
	for _, c := range string(text[:min(len(text), most)]) {
		switch {
		case !unicode.IsLetter(c) && !unicode.IsDigit(c):
			if c == '\'' { // "isn't" is one word
				continue
			}
			c = ' '
		case unicode.IsUpper(c) && unicode.IsLower(before):
			b.WriteRune(' ')
		}
		if c != ' ' || before != ' ' {
			b.WriteRune(unicode.ToLower(c))
		}
		before = c
	}
	return b.String()
}
