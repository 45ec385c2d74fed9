# Usage: cmake -DOUT=file.c -DFILES=a.lua,b.lua -P embed.cmake
# One `const struct store_script script_<name>` per file and the table of all of them. Byte arrays, not string
# literals: C11 promises only 4,095 characters for those.
string(REPLACE "," ";" files "${FILES}")
set(body "/* Generated from the files in store/scripts; do not edit. */\n#include \"scripts.h\"\n\n")
set(table "")
foreach(file IN LISTS files)
  get_filename_component(name ${file} NAME_WE)
  file(READ ${file} hex HEX)
  file(SHA1 ${file} sha)
  file(SIZE ${file} size)
  string(REGEX REPLACE "(..)" "0x\\1," bytes "${hex}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n    " bytes "${bytes}")
  string(APPEND body
    "static const unsigned char src_${name}[] = {\n    ${bytes}\n};\n"
    "const struct store_script script_${name} = {\"${name}\", src_${name}, ${size}, \"${sha}\"};\n\n")
  string(APPEND table "    &script_${name},\n")
endforeach()
string(APPEND body "const struct store_script *const store_scripts[] = {\n${table}    0,\n};\n")
file(WRITE ${OUT} "${body}")
