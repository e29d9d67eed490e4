//go:build tools

package host

import _ "github.com/pulumi/pulumi/sdk/python/cmd/pulumi-language-python/v3"
