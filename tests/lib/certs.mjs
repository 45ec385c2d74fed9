// Certificates for tests, by openssl: an authority of their own each run.
import {execFileSync} from "node:child_process";
import {readFileSync, writeFileSync} from "node:fs";
import {join} from "node:path";

const openssl = (...args) => execFileSync("openssl", args, {stdio: ["ignore", "pipe", "pipe"]});

/** An authority: {dir, certFile, keyFile, pem}. */
export function makeAuthority(dir, name = "ca") {
  const certFile = join(dir, `${name}.pem`);
  const keyFile = join(dir, `${name}.key`);
  openssl("req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256", "-nodes", "-days", "2", "-subj", `/CN=${name}`,
    "-keyout", keyFile, "-out", certFile);
  return {dir, certFile, keyFile, pem: readFileSync(certFile, "utf8")};
}

/** A certificate for 127.0.0.1, signed by the authority: {certFile, keyFile (mode 600), serial}. */
export function makeCertificate(authority, name, {days = 2, rsa = 0, host = "IP:127.0.0.1,DNS:localhost", serial = `0x${Date.now().toString(16)}`} = {}) {
  const file = (ext) => join(authority.dir, `${name}.${ext}`);
  const key = rsa ? ["-newkey", `rsa:${rsa}`] : ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:P-256"];
  writeFileSync(file("ext"), `subjectAltName=${host}\n`);
  openssl("req", ...key, "-nodes", "-subj", `/CN=${name}`, "-keyout", file("key"), "-out", file("csr"));
  openssl("x509", "-req", "-in", file("csr"), "-CA", authority.certFile, "-CAkey", authority.keyFile, "-set_serial", serial,
    "-days", String(days), "-extfile", file("ext"), "-out", file("pem"));
  return {name, certFile: file("pem"), keyFile: file("key")};
}
