// Shows the document that lies beside the page. Whoever signs in here does so
// for this page only: nothing is kept when it closes.
SwaggerUIBundle({
  url: "openapi.json",
  dom_id: "#reference",
  presets: [SwaggerUIBundle.presets.apis],
  layout: "BaseLayout",
  deepLinking: true,
  docExpansion: "list",
  defaultModelsExpandDepth: 0,
  defaultModelExpandDepth: 3,
  displayRequestDuration: true,
  showCommonExtensions: true,
  persistAuthorization: false,
  validatorUrl: null
});
