// The page /docs: Swagger UI on our own description. Calls made here carry the session's token, as all unsafe calls must.
const token = document.querySelector('meta[name="csrf-token"]').content;

SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#api",
  deepLinking: true,
  validatorUrl: null,
  requestInterceptor: (request) => {
    if (token && !request.headers.Authorization) request.headers["x-csrf-token"] = token;
    return request;
  },
});
