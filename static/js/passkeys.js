// Passkeys: the browser's answer goes into the form's hidden field, and the form is sent.
"use strict";
(() => {
  const said = (form, words) => (form.querySelector("[data-passkey-said]").textContent = words);
  const prepared = () => JSON.parse(document.getElementById("passkey-options").textContent).publicKey;

  async function asked() {
    const response = await fetch(location.origin + "/login/passkey/", { headers: { "X-Requested-With": "XMLHttpRequest", Accept: "application/json" } });
    if (!response.ok) throw new Error("The server did not answer.");
    return (await response.json()).request_options.publicKey;
  }

  const get = async (options) => navigator.credentials.get({ publicKey: PublicKeyCredential.parseRequestOptionsFromJSON(options) });

  async function create(form) {
    const options = prepared();
    const alone = form.querySelector("[name=passwordless]");
    if (alone && alone.checked)
      Object.assign(options.authenticatorSelection, { residentKey: "required", requireResidentKey: true, userVerification: "required" });
    return navigator.credentials.create({ publicKey: PublicKeyCredential.parseCreationOptionsFromJSON(options) });
  }

  function on(selector, answer) {
    for (const form of document.querySelectorAll(selector))
      form.addEventListener("submit", async (event) => {
        event.preventDefault();
        said(form, "");
        try {
          if (!window.PublicKeyCredential?.parseRequestOptionsFromJSON) throw new Error("This browser cannot use passkeys here.");
          const credential = await answer(form);
          form.querySelector("[name=credential], [name=confirm-credential]").value = JSON.stringify(credential.toJSON());
          form.submit();
        } catch (error) {
          said(form, error.name === "NotAllowedError" ? "Cancelled, or it took too long." : error.message);
        }
      });
  }

  on("[data-passkey-login]", async () => get(await asked()));
  on("[data-passkey-ask]", () => get(prepared()));
  on("[data-passkey-add]", create);
})();
