// SPDX-License-Identifier: Apache-2.0
#include "simulator/token.hpp"

#include <openssl/evp.h>

#include <algorithm>
#include <array>
#include <memory>
#include <stdexcept>

namespace things::simulator {

std::string token_of(std::string_view body, std::string_view secret) {
    const std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(), EVP_MD_CTX_free);
    std::array<unsigned char, EVP_MAX_MD_SIZE> digest{};
    unsigned int size = 0;
    if (!context || EVP_DigestInit_ex(context.get(), EVP_sha256(), nullptr) != 1 ||
        EVP_DigestUpdate(context.get(), body.data(), body.size()) != 1 ||
        EVP_DigestUpdate(context.get(), secret.data(), secret.size()) != 1 ||
        EVP_DigestFinal_ex(context.get(), digest.data(), &size) != 1)
        throw std::runtime_error("OpenSSL cannot compute SHA-256");
    constexpr std::string_view digits = "0123456789abcdef";
    std::string token;
    token.reserve(std::size_t{size} * 2);
    for (std::size_t i = 0; i < size; ++i) {
        token += digits[digest[i] >> 4];
        token += digits[digest[i] & 15];
    }
    return token;
}

bool is_token(std::string_view text) {
    return text.size() == 64 && std::all_of(text.begin(), text.end(), [](char c) {
               return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
           });
}

} // namespace things::simulator
