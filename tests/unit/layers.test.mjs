// Which folder may include what (docs/ARCHITECTURE.md): the build gives each folder only the include roots of those it
// may use; this test covers what a compiler cannot stop, the system's headers, and names the rule that is broken.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readdirSync, readFileSync, statSync } from 'node:fs';
import { join, dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = join(dirname(fileURLToPath(import.meta.url)), '..', '..');

// Folder -> our folders it may include, third-party headers it may include.
const rules = {
    base: { ours: [], libs: ['ini.h'] },
    protocol: { ours: ['base'], libs: ['msgpack'] },
    rain: { ours: ['base', 'protocol'], libs: ['sodium.h', 'xxhash.h', 'uthash.h', 'utlist.h', 'openssl/'] },
    room: { ours: ['base', 'protocol', 'rain'], libs: ['uthash.h'] },
    store: { ours: ['base', 'protocol', 'rain', 'room'], libs: ['hiredis/', 'uv.h', 'uthash.h', 'utlist.h', 'sodium.h'] },
    'settle/ledger': { ours: ['base', 'protocol', 'rain'], libs: ['mysql.h', 'mysqld_error.h', 'errmsg.h', 'sodium.h', 'uthash.h', 'jansson.h'] },
    'settle/settler': { ours: ['base', 'protocol', 'rain', 'store', 'ledger'], libs: ['librdkafka/', 'uthash.h'] },
    'server/token': { ours: ['base', 'protocol'], libs: ['jansson.h', 'openssl/'] },
};
const thirdParty =
    /^(ini\.h|msgpack|sodium|xxhash|uthash|utlist|openssl\/|hiredis\/|uv\.h|mysql|errmsg\.h|jansson|librdkafka\/|libwebsockets|curl\/)/;
const ownFolders = ['base', 'protocol', 'rain', 'room', 'store', 'ledger', 'settler', 'server', 'token'];

function sources(dir) {
    return readdirSync(dir).flatMap((name) => {
        const path = join(dir, name);
        if (statSync(path).isDirectory()) return sources(path);
        return /\.[ch]$/.test(name) ? [path] : [];
    });
}

for (const [folder, rule] of Object.entries(rules)) {
    test(`${folder} includes only what its row allows`, () => {
        const self = folder.split('/').at(-1);
        const files = sources(join(root, folder));
        assert.ok(files.length > 0);
        for (const file of files) {
            for (const [, name] of readFileSync(file, 'utf8').matchAll(/^\s*#\s*include\s*[<"]([^>"]+)[>"]/gm)) {
                const own = ownFolders.find((f) => name.startsWith(`${f}/`));
                if (own)
                    assert.ok(own === self || rule.ours.includes(own), `${file} includes ${name}`);
                else if (thirdParty.test(name))
                    assert.ok(rule.libs.some((lib) => name.startsWith(lib)), `${file} includes ${name}`);
            }
        }
    });
}

test('lws and the Kafka producer appear only in server', () => {
    for (const folder of ['base', 'protocol', 'rain', 'room', 'store', 'settle'])
        for (const file of sources(join(root, folder)))
            assert.doesNotMatch(readFileSync(file, 'utf8'), /libwebsockets\.h/, file);
});

test('every cmocka test is built', () => {
    for (const file of sources(join(root, 'tests', 'unit')).filter((path) => /\/test_[^/]*\.c$/.test(path))) {
        const list = readFileSync(join(dirname(file), 'CMakeLists.txt'), 'utf8');
        if (/GLOB tests .*test_\*\.c/.test(list)) continue;
        const name = /test_([^/]*)\.c$/.exec(file)[1];
        assert.match(list, new RegExp(`\\b(test_)?(bench_)?${name.replace(/^bench_/, '')}\\b`), `${file} is in no CMakeLists.txt`);
    }
});
