# Third-party libraries, by pkg-config only: on Debian 12 several of their CMake configs are broken or
# change target names between versions.
find_package(PkgConfig REQUIRED)
pkg_check_modules(LWS REQUIRED IMPORTED_TARGET libwebsockets>=4.1)
pkg_check_modules(UV REQUIRED IMPORTED_TARGET libuv>=1.40)
pkg_check_modules(HIREDIS REQUIRED IMPORTED_TARGET hiredis>=0.14)
pkg_check_modules(RDKAFKA REQUIRED IMPORTED_TARGET rdkafka>=1.8)
pkg_search_module(MSGPACK REQUIRED IMPORTED_TARGET msgpack-c msgpack)
# Debian 13's msgpack-c.pc says -Iinclude, relative to nothing; its headers are in the default path.
get_target_property(RR_MSGPACK_DIRS PkgConfig::MSGPACK INTERFACE_INCLUDE_DIRECTORIES)
list(FILTER RR_MSGPACK_DIRS INCLUDE REGEX "^/")
set_target_properties(PkgConfig::MSGPACK PROPERTIES INTERFACE_INCLUDE_DIRECTORIES "${RR_MSGPACK_DIRS}")
# The API that MariaDB's Connector/C and Oracle's libmysqlclient share; MySQL 8's own library is compiled for, untested.
pkg_search_module(MYSQL REQUIRED IMPORTED_TARGET mysqlclient libmariadb mariadb)
pkg_check_modules(CRYPTO REQUIRED IMPORTED_TARGET libcrypto)
pkg_check_modules(JANSSON REQUIRED IMPORTED_TARGET jansson>=2.12)
pkg_check_modules(SODIUM REQUIRED IMPORTED_TARGET libsodium>=1.0.18)
pkg_check_modules(INIH REQUIRED IMPORTED_TARGET inih)
pkg_check_modules(XXHASH REQUIRED IMPORTED_TARGET libxxhash)
pkg_check_modules(CURL REQUIRED IMPORTED_TARGET libcurl)
if(RR_TESTS)
  pkg_check_modules(CMOCKA REQUIRED IMPORTED_TARGET cmocka>=1.1.5)
endif()
find_package(Threads REQUIRED)
