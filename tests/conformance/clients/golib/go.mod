module conformance/golib

go 1.19
