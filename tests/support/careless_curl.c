// SPDX-License-Identifier: Apache-2.0
// LD_PRELOAD: libcurl used carelessly, so that a campaign can show that it would notice. $CARELESS says how:
//   verify    certificates are not verified           redirect  redirects are followed
//   status    every status is a 202                   timeout   no time limit
//   names     an address once found is kept for ever
//   patience  no time limit, and connections kept for ever
#define _GNU_SOURCE
#include <ctype.h>
#include <curl/curl.h>
#include <dlfcn.h>
#include <netdb.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#undef curl_easy_setopt
#undef curl_easy_getinfo

static int is_careless_about(const char* what) {
    const char* how = getenv("CARELESS");
    return how != NULL && strcmp(how, what) == 0;
}

/// Another value for this option, or its own.
static void* spoilt(CURLoption option, void* value) {
    if (is_careless_about("verify") && (option == CURLOPT_SSL_VERIFYPEER || option == CURLOPT_SSL_VERIFYHOST))
        return NULL;
    if (is_careless_about("redirect") && option == CURLOPT_FOLLOWLOCATION)
        return (void*)1L;
    if (is_careless_about("timeout") && (option == CURLOPT_TIMEOUT_MS || option == CURLOPT_LOW_SPEED_TIME))
        return NULL;
    if (is_careless_about("patience") && option == CURLOPT_MAXAGE_CONN)
        return (void*)1000000L;
    if (is_careless_about("patience") &&
        (option == CURLOPT_TIMEOUT_MS || option == CURLOPT_LOW_SPEED_TIME ||
         option == CURLOPT_TCP_KEEPALIVE || option == CURLOPT_SOCKOPTFUNCTION))
        return NULL;
    return value;
}

CURLcode curl_easy_setopt(CURL* easy, CURLoption option, ...) {
    static CURLcode (*real)(CURL*, CURLoption, ...);
    if (real == NULL)
        *(void**)&real = dlsym(RTLD_NEXT, "curl_easy_setopt");
    va_list rest;
    va_start(rest, option);
    void* value = va_arg(rest, void*); // every kind of value is as wide as a pointer, on what we build for
    va_end(rest);
    return real(easy, option, spoilt(option, value));
}

CURLcode curl_easy_getinfo(CURL* easy, CURLINFO info, ...) {
    static CURLcode (*real)(CURL*, CURLINFO, ...);
    if (real == NULL)
        *(void**)&real = dlsym(RTLD_NEXT, "curl_easy_getinfo");
    va_list rest;
    va_start(rest, info);
    void* to = va_arg(rest, void*);
    va_end(rest);
    const CURLcode code = real(easy, info, to);
    if (is_careless_about("status") && info == CURLINFO_RESPONSE_CODE && *(long*)to >= 300)
        *(long*)to = 202;
    return code;
}

static struct addrinfo* kept;

int getaddrinfo(const char* name, const char* service, const struct addrinfo* hints,
                struct addrinfo** result) {
    int (*real)(const char*, const char*, const struct addrinfo*, struct addrinfo**);
    *(void**)&real = dlsym(RTLD_NEXT, "getaddrinfo");
    const int is_name = name != NULL && isalpha((unsigned char)name[0]); // the Modbus device has an address
    if (is_name && kept != NULL) {
        *result = kept;
        return 0;
    }
    const int code = real(name, service, hints, result);
    if (code == 0 && is_name && is_careless_about("names"))
        kept = *result;
    return code;
}

void freeaddrinfo(struct addrinfo* result) {
    void (*real)(struct addrinfo*);
    *(void**)&real = dlsym(RTLD_NEXT, "freeaddrinfo");
    if (result != kept)
        real(result);
}
