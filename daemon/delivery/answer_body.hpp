// SPDX-License-Identifier: Apache-2.0
#pragma once

#include <string>
#include <string_view>

// What the body of an answer is: a SenML pack, an HTML page, or something else. Pure; any thread; bounded in
// time and memory whatever the bytes are.
namespace things {

/// Whether the content type names HTML or XHTML, whatever its case and its parameters.
[[nodiscard]] bool is_html_type(std::string_view content_type);
/// Whether the bytes begin as a browser recognises a page (MIME Sniffing 7.1): after a byte order mark, white
/// space, comments and an XML prolog comes `<!doctype html` or a tag of HTML. UTF-8 or UTF-16.
[[nodiscard]] bool is_html(std::string_view body);
/// Whether it is a SenML pack (RFC 8428) in JSON, as far as that shows who answers: an array of objects of
/// which at least one has a name or a base name. `[]` is not a pack. What is asked for in it is judged later.
[[nodiscard]] bool is_senml(std::string_view body);
/// The title of a page, else the beginning of the text: at most 60 characters, all of them printable.
[[nodiscard]] std::string gist_of(std::string_view body);

} // namespace things
