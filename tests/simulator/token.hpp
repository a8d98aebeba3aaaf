// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

// The platform's side of the message token: lower-case hexadecimal SHA-256 of the body's bytes followed by
// the secret. Pure. Shares nothing with the daemon's signer.
namespace things::simulator {

std::string token_of(std::string_view body, std::string_view secret);

/// Does `text` have the form of a token: 64 lower-case hexadecimal digits?
bool is_token(std::string_view text);

} // namespace things::simulator
