// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>

namespace things::test {

/// What is left of this test case cannot be tried on this machine. tests/run counts and lists it.
void skipped(const std::string& why);

} // namespace things::test
