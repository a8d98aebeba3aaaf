// SPDX-License-Identifier: Apache-2.0
#include "status/web_password.hpp"

#include <boost/asio/ip/address.hpp>
#include <openssl/crypto.h>
#include <openssl/evp.h>

#include <algorithm>
#include <optional>
#include <vector>

namespace things {

namespace {

/// The password in "Basic BASE64(user:password)"; none if that is not what it is.
std::optional<std::string> password_of(std::string_view authorization) {
    const std::string_view scheme = authorization.substr(0, 6);
    const auto is_same = [](char a, char b) {
        return a == b || (a >= 'A' && a <= 'Z' && a - 'A' + 'a' == b);
    };
    if (!std::equal(scheme.begin(), scheme.end(), "basic ", "basic " + 6, is_same))
        return std::nullopt;
    std::string_view code = authorization.substr(6);
    if (code.empty() || code.size() % 4 != 0)
        return std::nullopt;
    std::vector<unsigned char> text(code.size());
    int size = EVP_DecodeBlock(text.data(), reinterpret_cast<const unsigned char*>(code.data()), // NOLINT
                               static_cast<int>(code.size()));
    // What fills up the last three bytes is decoded as zeros.
    size -= static_cast<int>(std::min<std::size_t>(2, code.size() - code.find_last_not_of('=') - 1));
    const auto end = text.begin() + std::max(size, 0);
    const auto colon = std::find(text.begin(), end, ':');
    if (colon == end)
        return std::nullopt;
    return std::string(colon + 1, end);
}

} // namespace

std::string network_of(const std::string& address) {
    boost::system::error_code error;
    const auto parsed = boost::asio::ip::make_address_v6(address, error);
    if (error || parsed.is_v4_mapped())
        return address;
    const auto bytes = parsed.to_bytes();
    return {bytes.begin(), bytes.begin() + 8};
}

WebPassword::WebPassword(const std::string& password)
    : is_asked_(!password.empty()), digest_(digest_of(password)) {}

/// Of one length whatever the text's, so that comparing tells nothing of either.
WebPassword::Digest WebPassword::digest_of(std::string_view text) {
    Digest digest{};
    EVP_Digest(text.data(), text.size(), digest.data(), nullptr, EVP_sha256(), nullptr);
    return digest;
}

std::chrono::milliseconds WebPassword::wait(const std::string& address, Time now) const {
    const auto at = shut_until_.find(network_of(address));
    if (at == shut_until_.end() || at->second <= now)
        return std::chrono::milliseconds(0);
    return std::chrono::ceil<std::chrono::milliseconds>(at->second - now);
}

bool WebPassword::admits(std::string_view authorization, const std::string& address, Time now) {
    const std::optional<std::string> given = password_of(authorization);
    if (given && CRYPTO_memcmp(digest_of(*given).data(), digest_.data(), digest_.size()) == 0)
        return true;
    std::erase_if(shut_until_, [now](const auto& entry) { return entry.second <= now; });
    shut_until_[network_of(address)] = now + pause;
    return false;
}

} // namespace things
