// SPDX-License-Identifier: Apache-2.0
#include "delivery/signer.hpp"

#include <openssl/evp.h>

#include <array>
#include <stdexcept>

namespace things {

void Signer::Free::operator()(evp_md_ctx_st* context) const {
    EVP_MD_CTX_free(context);
}

Signer::Signer() : context_(EVP_MD_CTX_new()) {
    if (context_ == nullptr || EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) != 1)
        throw std::runtime_error("OpenSSL does not offer SHA-256, without which no pack can be signed");
}

Signer::~Signer() = default;

std::string Signer::sign(std::string_view body, const Secret& secret) {
    static constexpr std::string_view hex = "0123456789abcdef";
    std::array<unsigned char, 32> digest{};
    // Without a type the context keeps SHA-256: fetching it anew costs more than hashing a small pack.
    if (EVP_DigestInit_ex(context_.get(), nullptr, nullptr) != 1 ||
        EVP_DigestUpdate(context_.get(), body.data(), body.size()) != 1 ||
        EVP_DigestUpdate(context_.get(), secret.reveal().data(), secret.reveal().size()) != 1 ||
        EVP_DigestFinal_ex(context_.get(), digest.data(), nullptr) != 1)
        return {};
    std::string token(2 * digest.size(), '0');
    for (std::size_t i = 0; i < digest.size(); ++i) {
        token[2 * i] = hex[digest[i] >> 4];
        token[2 * i + 1] = hex[digest[i] & 15];
    }
    return token;
}

} // namespace things
