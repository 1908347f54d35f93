// A certified OpenID provider for the tests: one client, people from the sign-in form, groups by the person's name.
import { Provider } from "oidc-provider";

const { PORT, APP } = process.env;
const groups = { rita: ["curators"], adam: ["operators", "curators"], nora: [] };

const provider = new Provider(`http://127.0.0.1:${PORT}`, {
  clients: [
    {
      client_id: "earmark",
      client_secret: "a-secret-of-the-tests",
      redirect_uris: [`${APP}/sign-in/callback`],
      post_logout_redirect_uris: [`${APP}/sign-in`],
      backchannel_logout_uri: `${APP}/sign-in/backchannel-logout`,
      backchannel_logout_session_required: true,
    },
  ],
  cookies: { keys: ["tests"] },
  // Its own guard refuses to call back to loopback addresses, which is where the tests live.
  fetch: (url, { dispatcher, ...options } = {}) => globalThis.fetch(url, options),
  claims: { openid: ["sub"], profile: ["name"], email: ["email"], groups: ["groups"] },
  scopes: ["openid", "profile", "email", "groups"],
  features: {
    devInteractions: { enabled: true },
    backchannelLogout: { enabled: true },
    rpInitiatedLogout: { enabled: true },
  },
  findAccount: (_, id) => ({
    accountId: id,
    claims: async () => ({ sub: id, name: `${id} of the tests`, email: `${id}@example.com`, groups: groups[id] ?? [] }),
  }),
});
provider.listen(Number(PORT), "127.0.0.1");
