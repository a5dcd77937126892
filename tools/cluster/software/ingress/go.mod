module switchyard.test/ingress

go 1.26
