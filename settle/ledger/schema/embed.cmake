# cmake -DOUT=schema_sql.c -DFILES=a.sql;b.sql -P embed.cmake: writes the files as byte arrays (a string literal of more
# than 4095 bytes is not portable C11). ASCII only.
set(text "#include \"schema.h\"\n\nconst struct schema_file schema_files[] = {\n")
foreach(path IN LISTS FILES)
  get_filename_component(name ${path} NAME)
  string(REGEX MATCH "^0*([0-9]+)_" unused ${name})
  set(version ${CMAKE_MATCH_1})
  file(READ ${path} bytes HEX)
  string(REGEX REPLACE "([0-9a-f][0-9a-f])" "0x\\1," bytes "${bytes}")
  string(REGEX REPLACE "(0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,0x..,)" "\\1\n"
    bytes "${bytes}")
  string(APPEND text "    {${version}, \"${name}\", (const char[]){${bytes}0}},\n")
endforeach()
string(APPEND text "    {0, 0, 0},\n};\n")
file(WRITE ${OUT} "${text}")
