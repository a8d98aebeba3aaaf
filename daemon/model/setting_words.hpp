// SPDX-License-Identifier: Apache-2.0
#pragma once

#include "model/setting.hpp"

#include <string_view>

// Levels and types of plugins' keys in words for people. Pure.
namespace things {

/// "device"
std::string_view word_of(Level level);
/// "whole number"
std::string_view word_of(SettingType type);

} // namespace things
