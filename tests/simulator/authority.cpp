// SPDX-License-Identifier: Apache-2.0
#include "simulator/authority.hpp"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <cstdint>
#include <memory>
#include <stdexcept>

namespace things::simulator {
namespace {

template <auto release>
struct Releaser {
    template <typename T>
    void operator()(T* object) const {
        release(object);
    }
};
using Key = std::unique_ptr<EVP_PKEY, Releaser<EVP_PKEY_free>>;
using Certificate = std::unique_ptr<X509, Releaser<X509_free>>;
using Memory = std::unique_ptr<BIO, Releaser<BIO_free_all>>;

void require(bool is_good, const char* what) {
    if (!is_good)
        throw std::runtime_error(std::string("cannot make a certificate: ") + what);
}

std::string text_of(BIO* memory) {
    char* data = nullptr;
    const long size = BIO_get_mem_data(memory, &data);
    return {data, static_cast<std::size_t>(size)};
}

void add(X509* certificate, X509* issuer, int extension, const std::string& value) {
    X509V3_CTX context;
    X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
    X509_EXTENSION* made = X509V3_EXT_conf_nid(nullptr, &context, extension, value.c_str());
    require(made != nullptr, value.c_str());
    const int added = X509_add_ext(certificate, made, -1);
    X509_EXTENSION_free(made);
    require(added == 1, value.c_str());
}

Certificate begin(EVP_PKEY* key, const char* name, long from_seconds, long until_seconds) {
    Certificate certificate(X509_new());
    require(certificate != nullptr, "memory");
    std::uint64_t serial = 0;
    require(RAND_bytes(reinterpret_cast<unsigned char*>(&serial), sizeof serial) == 1, "random");
    X509_set_version(certificate.get(), 2);
    ASN1_INTEGER_set_uint64(X509_get_serialNumber(certificate.get()), (serial >> 1) | 1);
    X509_gmtime_adj(X509_getm_notBefore(certificate.get()), from_seconds);
    X509_gmtime_adj(X509_getm_notAfter(certificate.get()), until_seconds);
    require(X509_set_pubkey(certificate.get(), key) == 1, "public key");
    X509_NAME_add_entry_by_txt(X509_get_subject_name(certificate.get()), "CN", MBSTRING_ASC,
                               reinterpret_cast<const unsigned char*>(name), -1, -1, 0);
    return certificate;
}

void sign(X509* certificate, X509* issuer, EVP_PKEY* key) {
    X509_set_issuer_name(certificate, X509_get_subject_name(issuer));
    add(certificate, issuer, NID_subject_key_identifier, "hash");
    if (issuer != certificate)
        add(certificate, issuer, NID_authority_key_identifier, "keyid:always");
    require(X509_sign(certificate, key, EVP_sha256()) > 0, "signature");
}

std::string names_for(Flaw flaw, const std::string& host) {
    if (flaw == Flaw::other_host)
        return "DNS:somewhere-else.invalid";
    std::string names = "DNS:localhost,IP:127.0.0.1,IP:::1";
    if (!host.empty())
        names +=
            (host.find_first_not_of("0123456789.") == host.npos || host.find(':') != host.npos ? ",IP:"
                                                                                               : ",DNS:") +
            host;
    return names;
}

std::string pem(X509* certificate) {
    const Memory memory(BIO_new(BIO_s_mem()));
    require(memory && PEM_write_bio_X509(memory.get(), certificate) == 1, "PEM");
    return text_of(memory.get());
}

std::string pem(EVP_PKEY* key) {
    const Memory memory(BIO_new(BIO_s_mem()));
    require(memory && PEM_write_bio_PrivateKey(memory.get(), key, nullptr, nullptr, 0, nullptr, nullptr) == 1,
            "PEM");
    return text_of(memory.get());
}

} // namespace

Identity make_identity(Flaw flaw, const std::string& host) {
    constexpr long day = 86400;
    const Key authority_key(EVP_EC_gen("P-256"));
    const Key server_key(EVP_EC_gen("P-256"));
    require(authority_key && server_key, "keys");
    const Certificate authority =
        begin(authority_key.get(), "KPN Things simulator authority", -day, 3650 * day);
    add(authority.get(), authority.get(), NID_basic_constraints, "critical,CA:TRUE");
    add(authority.get(), authority.get(), NID_key_usage, "critical,keyCertSign,cRLSign");
    sign(authority.get(), authority.get(), authority_key.get());

    const long from = flaw == Flaw::not_yet_valid ? 30 * day : -2 * day;
    const long until = flaw == Flaw::expired ? -day : 825 * day;
    const Certificate server = begin(server_key.get(), "KPN Things simulator", from, until);
    add(server.get(), authority.get(), NID_basic_constraints, "critical,CA:FALSE");
    add(server.get(), authority.get(), NID_key_usage, "critical,digitalSignature");
    add(server.get(), authority.get(), NID_ext_key_usage, "serverAuth");
    add(server.get(), authority.get(), NID_subject_alt_name, names_for(flaw, host));
    if (flaw == Flaw::self_signed)
        sign(server.get(), server.get(), server_key.get());
    else
        sign(server.get(), authority.get(), authority_key.get());
    return {pem(authority.get()), pem(server.get()), pem(server_key.get())};
}

} // namespace things::simulator
