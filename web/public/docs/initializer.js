// Starts Swagger UI on this server's own OpenAPI document. A file of its own: inline scripts are not run here.
window.SwaggerUIBundle({
  url: "/openapi.json",
  dom_id: "#reference",
  deepLinking: true,
  displayRequestDuration: true,
  persistAuthorization: false, // a token stays in this tab's memory
  validatorUrl: null, // nothing is sent to anybody else
});
