// SPDX-License-Identifier: Apache-2.0
#include "p1/cipher.hpp"

#include <algorithm>
#include <memory>

#include <openssl/crypto.h>
#include <openssl/evp.h>

namespace things {

namespace {

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const { EVP_CIPHER_CTX_free(context); }
};

const unsigned char* bytes_of(std::string_view text) {
    return reinterpret_cast<const unsigned char*>(text.data());
}

int hex_digit(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'A' && c <= 'F')
        return c - 'A' + 10;
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

} // namespace

std::optional<std::vector<unsigned char>> parse_hex_bytes(std::string_view text) {
    std::vector<unsigned char> bytes;
    int high = -1;
    for (char c : text) {
        if (c == ' ' && high < 0)
            continue;
        int digit = hex_digit(c);
        if (digit < 0)
            return std::nullopt;
        if (high < 0) {
            high = digit;
        } else {
            bytes.push_back(static_cast<unsigned char>(high * 16 + digit));
            high = -1;
        }
    }
    return high < 0 ? std::optional(std::move(bytes)) : std::nullopt;
}

std::optional<MeterKeys> MeterKeys::parse(std::string_view key, std::string_view aad) {
    constexpr std::string_view luxembourg = "3000112233445566778899AABBCCDDEEFF";
    std::optional<std::vector<unsigned char>> key_bytes = parse_hex_bytes(key);
    std::optional<std::vector<unsigned char>> aad_bytes = parse_hex_bytes(aad.empty() ? luxembourg : aad);
    if (!key_bytes || key_bytes->size() != 16 || !aad_bytes)
        return std::nullopt;
    if (aad_bytes->size() == 16)
        aad_bytes->insert(aad_bytes->begin(), 0x30);
    if (aad_bytes->size() != 17)
        return std::nullopt;
    MeterKeys keys;
    std::copy(key_bytes->begin(), key_bytes->end(), keys.key_.begin());
    std::copy(aad_bytes->begin(), aad_bytes->end(), keys.aad_.begin());
    OPENSSL_cleanse(key_bytes->data(), key_bytes->size());
    OPENSSL_cleanse(aad_bytes->data(), aad_bytes->size());
    return keys;
}

MeterKeys::~MeterKeys() {
    OPENSSL_cleanse(key_.data(), key_.size());
    OPENSSL_cleanse(aad_.data(), aad_.size());
}

std::optional<std::string> MeterKeys::decrypt(std::string_view iv, std::string_view ciphertext,
                                              std::string_view tag) const {
    constexpr std::size_t part = 12;
    std::unique_ptr<EVP_CIPHER_CTX, FreeContext> context(EVP_CIPHER_CTX_new());
    if (context == nullptr || iv.size() != part || tag.size() != part || ciphertext.size() > 65536)
        return std::nullopt;
    std::string plain(ciphertext.size() + 16, '\0');
    auto* out = reinterpret_cast<unsigned char*>(plain.data());
    std::array<unsigned char, part> expected{};
    std::copy(tag.begin(), tag.end(), expected.begin());
    int length = 0, rest = 0;
    bool is_good =
        EVP_DecryptInit_ex(context.get(), EVP_aes_128_gcm(), nullptr, key_.data(), bytes_of(iv)) == 1 &&
        EVP_DecryptUpdate(context.get(), nullptr, &length, aad_.data(), static_cast<int>(aad_.size())) == 1 &&
        EVP_DecryptUpdate(context.get(), out, &length, bytes_of(ciphertext),
                          static_cast<int>(ciphertext.size())) == 1 &&
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_GCM_SET_TAG, static_cast<int>(part), expected.data()) ==
            1 &&
        EVP_DecryptFinal_ex(context.get(), out + length, &rest) == 1;
    if (!is_good) {
        OPENSSL_cleanse(plain.data(), plain.size());
        return std::nullopt;
    }
    plain.resize(static_cast<std::size_t>(length) + static_cast<std::size_t>(rest));
    return plain;
}

} // namespace things
