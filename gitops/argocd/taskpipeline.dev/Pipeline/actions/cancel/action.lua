obj.spec.cancel = "Now"
return obj
