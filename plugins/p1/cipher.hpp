// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

// AES-128-GCM with a 12-byte tag, as DLMS security suite 0 uses it. The only user of OpenSSL here. Pure.
namespace things {

/// Keys of one meter. Wiped when they go; never printed.
/// Copies wipe themselves as well. The hexadecimal text they came from is the host's to wipe.
class MeterKeys {
public:
    /// Both in hexadecimal. `aad`: the additional authenticated data, 17 bytes beginning with 30, or the 16
    /// bytes of an authentication key, which get the 30; empty: the published key of Luxembourg. Nothing: not
    /// of that form.
    static std::optional<MeterKeys> parse(std::string_view key, std::string_view aad);
    MeterKeys(const MeterKeys&) = default;
    MeterKeys& operator=(const MeterKeys&) = default;
    ~MeterKeys();

    /// The plain text, or nothing if the tag says that key, data or frame are wrong. iv: 12 bytes, tag: 12
    /// bytes.
    /// At most 65,536 bytes. What was deciphered before the tag was found wrong is wiped and never handed
    /// out.
    [[nodiscard]] std::optional<std::string> decrypt(std::string_view iv, std::string_view ciphertext,
                                                     std::string_view tag) const;

private:
    MeterKeys() = default;
    std::array<unsigned char, 16> key_{};
    std::array<unsigned char, 17> aad_{};
};

/// Pairs of hexadecimal digits, blanks between them allowed. Nothing if it is anything else.
/// The caller wipes the result if it is secret.
[[nodiscard]] std::optional<std::vector<unsigned char>> parse_hex_bytes(std::string_view text);

} // namespace things
